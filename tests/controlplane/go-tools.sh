# shellcheck shell=bash
# Builds programs from the Go modules that a go.mod pins. Sourced by the scripts `build` here, in tests/tools and in
# tests/krew, which set:
#   what     what the messages call the programs
#   here     the folder of go.mod and go.sum
#   cache    where the folders of what was built lie
#   tools    name=package for each program, the quick ones first: a person who waits sees early that it goes on
#   ldflags  flags for the linker

say() { printf '%s: %s\n' "$what" "$*" >&2; }
fail() {
  say "$*"
  exit 1
}
digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16; }

# go_version WAY_OUT: Go's version, which is part of the cache key. Reports in one line what is missing.
go_version() {
  local wanted found remedy
  wanted=$(sed -n 's/^go //p' "$here/go.mod")
  remedy="install Go $wanted or newer (https://go.dev/dl/)$1"
  command -v go >/dev/null || fail "go is missing: $remedy"
  # In the module's folder, a Go that may switch toolchains reports the version that it switches to.
  found=$(cd "$here" && go env GOVERSION 2>/dev/null) || found=$(go version | cut -d' ' -f3)
  if [[ $(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -n1) != "$wanted" ]]; then
    fail "$found is too old: $remedy"
  fi
  printf '%s\n' "$found"
}

# cache_key VERSION: changes with everything that changes the programs.
cache_key() { { cat "$here/go.mod" "$here/go.sum" && echo "$1" && uname -sm; } | digest; }

# build_into FOLDER NAME...: the named tools, all or nothing, once even if several callers come together.
build_into() {
  local folder=$1 tool name started number=0
  shift
  command -v flock >/dev/null || fail "flock is missing: install util-linux"
  mkdir -p "$cache"
  exec {lock}>"$cache/.lock"
  if ! flock --nonblock "$lock"; then
    say "another build is under way, waiting for it"
    flock "$lock"
  fi
  [[ -d $folder ]] && return
  # The holder of the lock is alone: what lies here was left by a build that was interrupted.
  rm -rf "$cache"/.building-*
  work=$(mktemp -d "$cache/.building-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  say "building $* once, into $folder (some minutes)"
  for tool in "${tools[@]}"; do
    name=${tool%%=*}
    [[ " $* " == *" $name "* ]] || continue
    number=$((number + 1)) started=$SECONDS
    say "[$number/$#] $name ..."
    (cd "$here" && go build -buildvcs=false -o "$work/$name" -ldflags "-s -w $(ldflags)" "${tool#*=}") >&2 ||
      fail "$name did not build, see above"
    say "[$number/$#] $name done in $((SECONDS - started)) s"
  done
  chmod 755 "$work"
  mv "$work" "$folder"
  trap - EXIT
}

# module_version MODULE: the version that go.mod pins.
module_version() { (cd "$here" && go list -m -f '{{.Version}}' "$1"); }
