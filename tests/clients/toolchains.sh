#!/bin/sh
# What the pages of docs/clients are tested with, from Debian's packages, as root: CI runs it, and nobody has to. What cannot
# be installed is skipped by its test, by name. With TEST_CPP, what C++ needs as well.
set -u
cd "$(dirname "$0")" || exit 1
export DEBIAN_FRONTEND=noninteractive
install() {
  timeout 300 apt-get install -y -q --no-install-recommends "$@" >/dev/null || echo "not installed: $*" >&2
}

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "toolchains: not root on Debian, nothing is installed" >&2; exit 0; }
timeout 120 apt-get update -q >/dev/null || echo "the lists of packages are old" >&2
install ruby ruby-grpc ruby-grpc-tools
install protobuf-compiler golang-go golang-google-grpc-dev golang-google-protobuf-dev golang-google-genproto-dev
install protobuf-compiler-grpc-java-plugin libgrpc-java libprotobuf-java libnetty-java libperfmark-java libgoogle-common-protos-java \
  libgeronimo-annotation-1.3-spec-java
[ -z "${TEST_CPP:-}" ] || install g++ pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc
# protoc-gen-go conflicts with a library that gRPC for Go needs; the programs alone do not.
mkdir -p .tools && cd .tools && timeout 60 apt-get download -q protoc-gen-go protoc-gen-go-grpc >/dev/null 2>&1
for package in *.deb; do [ ! -e "$package" ] || dpkg -x "$package" .; done
rm -f ./*.deb
