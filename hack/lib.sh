# shellcheck shell=bash
# The functions of hack/demo, which sources this file. Starts etcd, kube-apiserver, the platform simulator and the
# controller on loopback, shows what a user would type, and ends everything, however the demo ends.
#
# Everything that is started holds the other end of a pipe of ours (descriptors 4 to 6), and ends with it: so
# nothing is left behind even by SIGKILL. All files lie in one folder, which `up` removes at its end.

# Only loopback is talked to; what the machine is set up for does not matter here.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY KUBECONFIG

logs=${CARGO_TARGET_DIR:-target}/demo-logs
patience=60 # seconds that a condition may take to come about on a busy machine
bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; fi

# ---- what is seen ----

step_number=0
step() { printf '\n%s== %s. %s ==%s\n' "$bold" "$((++step_number))" "$*" "$plain"; }
say() { printf '%s# %s%s\n' "$dim" "$*" "$plain"; }

# Shows the command line as a user would type it.
show_command() {
  local word line=
  for word; do
    [[ $word == '|' || $word =~ ^[A-Za-z0-9_./=:,@%+-]+$ ]] || word="'$word'"
    line+=" $word"
  done
  printf '\n%s$%s%s\n' "$bold" "$line" "$plain"
}

# The last command's output.
output=
# Shows a command, runs it, shows its output. It must succeed.
run() {
  show_command "$@"
  output=$("$@" 2>&1) || fail "the command above failed: $output"
  printf '%s\n' "$output"
}

# The same for a command that must be refused, with these words somewhere in the answer.
refused() {
  local words=$1
  shift
  show_command "$@"
  if output=$("$@" 2>&1); then fail "the command above must be refused, and was not: $output"; fi
  printf '%s\n' "$output"
  expect_output "$words"
}

# The last command's output must contain these words, blanks as wide as they come.
expect_output() {
  local words
  for words; do
    tr -s ' \n' ' ' <<<"$output" | grep -qF -- "$words" || fail "the output above should contain: $words"
  done
}

# equal WHAT EXPECTED FOUND
equal() { [[ $2 == "$3" ]] || fail "$1: expected ${2:-nothing}, found ${3:-nothing}"; }

# until_true WHAT COMMAND...: runs the command again and again until it succeeds.
until_true() {
  local what=$1 end=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "not within $patience s: $what"
    sleep 0.05
  done
}

# ---- the cluster ----

# None of the pipes is handed on: a kubectl that still waits keeps nothing alive.
kubectl() { "$programs/kubectl" "$@" 4>&- 5>&- 6>&-; }

# field OBJECT JSONPATH
field() { kubectl get "$1" -o "jsonpath=$2"; }

reason() { field "$1" "{.status.conditions[?(@.type==\"$2\")].reason}"; }

# until_reason OBJECT CONDITION REASON
until_reason() {
  until_true "$1 has $2 with reason $3" has_reason "$@"
}
has_reason() { [[ $(reason "$1" "$2") == "$3" ]]; }

# until_event OBJECT REASON
until_event() { until_true "$1 has an event $2" has_event "$@"; }
has_event() { kubectl events --for "$1" | grep -qw "$2"; }
test_field() { [[ $(field "$1" "$2") == "$3" ]]; }

# ---- the platform ----

# simulator METHOD PATH [BODY]: prints the answer's body. Without curl, which not every machine has.
simulator() {
  local address=${url#http://} body=${3:-} answer connection
  exec {connection}<>"/dev/tcp/${address%:*}/${address##*:}"
  printf '%s /simulator/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$address" "${#body}" "$body" >&"$connection"
  answer=$(tr -d '\r' <&"$connection")
  exec {connection}>&-
  [[ $answer == 'HTTP/1.1 200 '* ]] || fail "the simulator refused $1 $2: $answer"
  printf '%s\n' "${answer#*$'\n\n'}"
}

# value KEY: the value of that key in JSON with one value a line, from standard input.
value() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p"; }

# How the platform sees a tenant (above the present pricing stands the previous one); how many PUTs came for
# it; the number of the last request.
mode() { simulator GET "tenants/$1" | value mode | tail -n1; }
puts() {
  local count
  count=$(simulator GET summary | value "$1")
  printf '%s\n' "${count:-0}"
}
requests() { simulator GET requests | value sequence | tail -n1; }

# The PUTs for a tenant, or for all, one a line.
show_puts() {
  simulator GET "requests?operation=PutPricing${1:+&tenant=$1}" | awk '
    { gsub(/[",]/, ""); sub(/^ */, "") }
    /^answered:/ { answer = $2 }
    /^version:/ { version = $2 }
    /^mode:/ { mode = $2 }
    /^path:/ { path = $2 }
    /^started:/ { started = substr($2, 1, 19) "Z" }
    /^tookEffect:/ { printf "  %s  PUT %s {version: %s, mode: %s} -> %s\n", started, path, version, mode, answer }'
}

# Moves the platform's clock and the controller's. They go on from there.
set_time() {
  local offset=$(($(date -u -d "$1" +%s) - $(date +%s)))
  simulator PUT clock "{\"now\": \"$1\"}" >/dev/null
  # Renamed into place: a half-written offset would be another time.
  printf '%s\n' "$offset" >"$folder/clock.new"
  mv "$folder/clock.new" "$folder/clock"
}

# ---- beginning and end ----

# build: builds what is missing, with cargo's and Go's own progress. `--examples` (there are none) lets cargo
# take the features of the tests' dependencies, so that the tests and the demo share what was built.
build() {
  cargo build --locked --all-features --bins --examples
  programs=$(tests/controlplane/build)
  binaries=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)
  tools=("$binaries/tenant-pricing-controller" "$binaries/platform-simulator" "$programs/kubectl")
  for tool in "${tools[@]}"; do [[ -x $tool ]] || fail "$tool was not built"; done
}

tenant-pricing-controller() { "$binaries/tenant-pricing-controller" "$@" 4>&- 5>&- 6>&-; }

# start NOW: the control plane, then the simulator, whose clock stands at NOW.
start() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/tenant-pricing-demo-XXXXXX")
  exec 4> >(exec tests/controlplane/up "$folder")
  control_plane=$!
  until_true "the API server answers" test -e "$folder/ready" -o ! -d "/proc/$control_plane"
  [[ -e $folder/ready ]] || fail "the control plane did not start, see above"
  export KUBECONFIG=$folder/kubeconfig KUBECACHEDIR=$folder/cache
  exec 5> >(exec tests/controlplane/supervise "$folder/simulator.log" "$binaries/platform-simulator" \
    --listen 127.0.0.1:0 --port-file "$folder/simulator.url" --tenants examples/simulator/tenants.yaml \
    --client-id 22222222-2222-4222-8222-222222222222 --client-secret not-a-secret --clock "$1")
  until_true "the simulator answers" test -s "$folder/simulator.url"
  url=$(<"$folder/simulator.url")
  set_time "$1"
}

start_controller() {
  show_command tenant-pricing-controller run --allowed-hosts "$url"
  # Any free port will do for the probes and metrics; the log names it.
  exec 6> >(TENANT_PRICING_TEST_CLOCK_FILE=$folder/clock TENANT_PRICING_ADMIN_ADDRESS=127.0.0.1:0 \
    exec tests/controlplane/supervise "$folder/controller.log" "$binaries/tenant-pricing-controller" \
    run --allowed-hosts "$url")
  controller=$!
  until_true "the controller logs that it has started" grep -q ' started ' "$folder/controller.log"
}

# No secret stands in the controller's log or in an object: neither one that the simulator issued (hack/leak-check
# names the file) nor the client's own.
search_for_secrets() {
  local secrets=$folder/secrets
  printf '%s\n' not-a-secret "$(printf not-a-secret | base64)" >"$secrets"
  if [[ -n ${PLATFORM_SIMULATOR_SECRETS_FILE:-} ]]; then cat "$PLATFORM_SIMULATOR_SECRETS_FILE" >>"$secrets"; fi
  kubectl get tp,pconn,events -o yaml >"$folder/objects.yaml"
  if grep -qFf "$secrets" "$folder/controller.log" "$folder/objects.yaml"; then
    fail "a secret or token stands in the controller's log or in an object"
  fi
}

# SIGTERM, and its exit code must be 0.
end_controller() {
  local code=0
  printf 'TERM\n' >&6
  wait "$controller" || code=$?
  controller=
  equal "the controller's exit code after SIGTERM" 0 "$code"
}

# What happened stays where it can be read; the folder does not.
keep_logs() {
  [[ -d ${folder:-} ]] || return 0
  rm -rf "$logs"
  mkdir -p "$logs"
  cp "$folder"/*.log "$logs" 2>/dev/null || true
  if [[ -n ${url:-} ]]; then
    (simulator GET summary && simulator GET requests) >"$logs/platform.json" 2>/dev/null || true
    kubectl get tp,pconn,events -o yaml --request-timeout=5s >"$logs/objects.yaml" 2>/dev/null || true
  fi
  printf 'Logs, objects and requests are kept in %s\n' "$(cd "$logs" && pwd)" >&2
}

# fail REASON: ends the demo, from wherever it is called.
fail() {
  trap - ERR
  # What fails in a subshell fails once more around it; the first reason is the one that counts.
  if [[ ! -e ${folder:-/nowhere}/failed ]]; then
    if [[ -d ${folder:-} ]]; then : >"$folder/failed"; fi
    printf '\nThe demo failed in step %s: %s\n' "$step_number" "$*" >&2
    keep_logs
  fi
  # A subshell cannot end the script alone.
  if [[ $BASHPID != "$$" ]]; then kill -s USR1 "$$"; fi
  exit 1
}

cleanup() {
  trap '' INT TERM HUP
  # Each end of a pipe ends what holds the other one; `up` goes last, and takes the folder along.
  exec 6>&- 5>&- 4>&-
  if [[ -n ${control_plane:-} ]]; then wait "$control_plane" || true; fi
  if [[ -n ${folder:-} ]]; then rm -rf "$folder"; fi
}
