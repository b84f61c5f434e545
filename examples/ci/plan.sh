#!/usr/bin/env bash
# Plans a change and writes the comment for it. Called by the workflows beside this file.
#   plan.sh BASE OUTPUT [FLAG…]    # for example: plan.sh origin/main comment.md --url https://eu2-cloud.acronis.com
# Without credentials, such as in a pull request from a fork, the platform is not read.
#
# MANIFESTS  the folder with the manifests, in both revisions; default: tenants
# RENDER     what renders that folder, if it is not applied as it stands: "kubectl kustomize", "helm template".
#            The folder of the base and that of the change are rendered, and compared.
# FAIL_ON    the policies of --fail-on; default: switches>20
set -euo pipefail
output=$2
manifests=${MANIFESTS:-tenants}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Until there is a plan. The comment of an earlier one must not stay: it would speak for this change.
cat >"$output" <<'END'
<!-- kubectl-tenantpricing plan -->
### What this changes on the bill

**Not known: there is no plan for this change.** The log of the job says why.
END
# A commit has one meaning. A name could also be that of a file in the change, or of a tag: git warns of a tag.
if ! base=$(git rev-parse --verify --end-of-options "$1^{commit}" 2>"$work/warning") || [[ -s $work/warning ]]; then
  cat "$work/warning" >&2
  exit 1
fi
shift 2

if [[ -n ${RENDER:-} ]]; then
  mkdir "$work/base"
  git archive "$base" | tar -x -C "$work/base"
  # The files of a change are no program, and what renders them gets no credentials.
  # shellcheck disable=SC2086 # it is a command with its arguments
  render() { env -u TENANT_PRICING_CLIENT_ID -u TENANT_PRICING_CLIENT_SECRET $RENDER "$1"; }
  render "$manifests" >"$work/change.yaml"
  # The base may not have the folder yet.
  : >"$work/base.yaml"
  if [[ -d $work/base/$manifests ]]; then (cd "$work/base" && render "$manifests") >"$work/base.yaml"; fi
  flags=(--filename "$work/change.yaml" --base "$work/base.yaml")
else
  flags=(--filename "$manifests" --recursive --base "$base")
fi
flags+=(--no-cluster --fail-on "${FAIL_ON:-switches>20}")
if [[ -z ${TENANT_PRICING_CLIENT_ID:-} ]]; then
  flags+=(--offline)
fi

code=0
kubectl-tenantpricing plan "${flags[@]}" "$@" --output markdown >"$work/comment.md" || code=$?
case $code in
  0 | 2) ;;
  1) echo "the plan is not complete: see the messages above and the comment" >&2 ;;
  3) echo "something is refused: see the comment" >&2 ;;
  4) echo "a policy applies: see the comment" >&2 ;;
  *) echo "the plan ended with code $code" >&2 ;;
esac
[[ ! -s $work/comment.md ]] || cp "$work/comment.md" "$output"
# Changes are what a pull request is for.
[[ $code == 2 ]] && code=0
exit "$code"
