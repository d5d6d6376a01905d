#!/bin/bash
# Builds images: build.sh IMAGE... with IMAGE spark, flink or beam. Run it anywhere; the context is the repository.
#
#   TAG=1.2.3      their tag (default: the version in pyproject.toml)
#   REGISTRY=…     what their names begin with (default: localhost)
#   ARCHIVES=DIR   also writes each as DIR/adstream-IMAGE.tar, which `ctr images import` and `docker load` read
#   BUILDER=…      docker or buildah (default: the first that works)
#
# With buildah neither a daemon nor a registry is needed: where Debian's image is missing, mmdebstrap makes it from packages.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
file="$here/Dockerfile"
tag=${TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml" | head -1)}
registry=${REGISTRY:-localhost}

builder() {
  if docker info >/dev/null 2>&1; then echo docker; elif command -v buildah >/dev/null; then echo buildah; else
    echo "build.sh: there is neither a Docker engine nor buildah: apt-get install buildah mmdebstrap" >&2
    return 1
  fi
}

# Debian's own minimal system as the image that the Dockerfiles begin with.
debian() {
  local image=$1 folder container
  buildah inspect --type image "$image" >/dev/null 2>&1 && return
  folder=$(mktemp -d)
  mmdebstrap --quiet --variant=minbase --include=ca-certificates \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' bookworm "$folder/debian.tar"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$folder/debian.tar" / >/dev/null
  buildah commit --quiet "$container" "$image" >/dev/null
  buildah rm "$container" >/dev/null
  rm -rf "$folder"
}

build() {
  local image=$1 name="$registry/adstream-$1:$tag"
  case $tool in
    docker)
      docker build --file "$file" --target "$image" --tag "$name" "$root"
      ;;
    buildah)
      debian "$(sed -n 's/^ARG DEBIAN=//p' "$file")"
      # The machine's certificates, as packages may come by way of a proxy that has one of its own.
      buildah bud --isolation chroot --pull-never --layers \
        --volume /etc/ssl/certs/ca-certificates.crt:/run/certificates.crt:ro --build-arg CERTIFICATES=/run/certificates.crt \
        --ignorefile "$file.dockerignore" --file "$file" --target "$image" --tag "$name" "$root"
      ;;
  esac
}

archive() {
  local name="$registry/adstream-$1:$tag" target="$ARCHIVES/adstream-$1.tar"
  mkdir -p "$ARCHIVES"
  rm -f "$target"
  case $tool in
    docker) docker save --output "$target" "$name" ;;
    buildah) buildah push --quiet "$name" "docker-archive:$target:$name" ;;
  esac
  echo "$target"
}

tool=${BUILDER:-$(builder)}
for image in "$@"; do
  case $image in
    spark | flink | beam) ;;
    *) echo "build.sh: no image '$image': there are spark, flink and beam" >&2; exit 2 ;;
  esac
  build "$image"
  [ -z "${ARCHIVES:-}" ] || archive "$image"
done
