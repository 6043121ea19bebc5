// `pin` and `unpin`: what stays, whoever needs room.
import type { Command } from 'commander';
import { type AdminFlags, addAdminOptions, adminClient } from './find-admin.ts';
import { imagePath } from './image-argument.ts';

export function addPinCommands(program: Command): void {
  const pin = program
    .command('pin')
    .description('keep an image, whatever else needs room')
    .argument('<image>', 'REPO:TAG (a tag keeps what it means, now and later) or REPO@DIGEST');
  addAdminOptions(pin)
    .addHelpText('after', '\nExamples:\n  stillwater pin alpine:3.20\n  stillwater pin registry.k8s.io/pause:3.10')
    .action(async (image: string, flags: AdminFlags) => {
      await adminClient(flags).put(`/images/${imagePath(image)}/pin`);
      process.stdout.write(`pinned ${image}\n`);
    });
  const unpin = program
    .command('unpin')
    .description('let a pinned image go when room is needed')
    .argument('<image>', 'as it was pinned');
  addAdminOptions(unpin)
    .addHelpText('after', '\nExample:\n  stillwater unpin alpine:3.20')
    .action(async (image: string, flags: AdminFlags) => {
      await adminClient(flags).delete(`/images/${imagePath(image)}/pin`);
      process.stdout.write(`unpinned ${image}\n`);
    });
}
