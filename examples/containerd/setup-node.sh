#!/bin/sh
# Makes the containerd of this node pull through the mirror; run as root, again whenever you like:
#   setup-node.sh http://mirror.example:5000
# Not for k3s and RKE2, whose files stand in ../k3s. ROOT is put before every path; RESTART replaces the restart.
set -eu

mirror=${1:?give the address of the mirror, such as http://mirror.example:5000}
root=${ROOT:-}
config=$root/etc/containerd/config.toml
hosts=$root/etc/containerd/certs.d/_default/hosts.toml

case $mirror in
http://?* | https://?*) ;;
*) echo "not an address: $mirror: write it as http://mirror.example:5000" >&2; exit 2 ;;
esac

# The folder of hosts.toml files has to be named once.
names_folder() { grep -q '^ *config_path *=.*/etc/containerd/certs\.d' "$config" 2>/dev/null; }
refuse() { echo "$config: $1; then run this again" >&2; exit 1; }
needs_restart=no
if ! names_folder; then
  if grep -q '\.registry\.mirrors\.' "$config" 2>/dev/null; then
    refuse 'containerd takes no registry.mirrors beside config_path: remove those tables'
  fi
  if [ -s "$config" ] && ! grep -q '^version *=' "$config"; then
    refuse 'it is of version 1: make one of version 2 or 3, by "containerd config default"'
  fi
  mkdir -p "${config%/*}"
  if [ -s "$config" ]; then cp -p "$config" "$config.before-stillwater"; else printf 'version = 2\n' >"$config"; fi
  if grep -q "^ *config_path *= *[\"'][\"']" "$config"; then
    # As "containerd config default" has it.
    sed -i "s|^\( *config_path *= *\)[\"'][\"']|\1\"/etc/containerd/certs.d\"|" "$config"
  elif grep -q '^ *\[plugins\..*\(cri\|images\).*\.registry\]' "$config"; then
    refuse 'set config_path = "/etc/containerd/certs.d" in its table of registries'
  else
    case $(sed -n 's/^version *= *\([0-9]*\).*/\1/p' "$config" | head -n 1) in
    3) table="plugins.'io.containerd.cri.v1.images'.registry" ;;
    *) table='plugins."io.containerd.grpc.v1.cri".registry' ;;
    esac
    printf '\n[%s]\n  config_path = "/etc/containerd/certs.d"\n' "$table" >>"$config"
  fi
  needs_restart=yes
fi

# Put in place in one step: containerd reads the file at each pull.
mkdir -p "${hosts%/*}"
printf '[host."%s"]\n  capabilities = ["pull", "resolve"]\n' "${mirror%/}" >"$hosts.new"
mv "$hosts.new" "$hosts"

if [ "$needs_restart" = yes ]; then ${RESTART:-systemctl restart containerd}; fi
echo "containerd pulls through $mirror"
