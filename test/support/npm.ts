// The npm that runs the tests, run again by the Node that it runs on; else the one on the PATH.
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CommandOptions, run } from './command.ts';
import { findTool } from './tool.ts';

/** Set by npm for the scripts that it runs. A distribution's npm works with that distribution's Node only. */
const { npm_node_execpath: node, npm_execpath: program } = process.env;

export async function npm(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  if (node === undefined || program === undefined) return await run('npm', args, options);
  return await run(node, [join(dirname(program), 'npm-cli.js'), ...args], options);
}

/** The folder of npm itself. */
export async function npmFolder(): Promise<string> {
  const cli = program ?? findTool('npm');
  if (cli === undefined) throw new Error('npm is not installed');
  return dirname(dirname(await realpath(cli)));
}
