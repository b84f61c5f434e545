#!/usr/bin/env bash
# Plans a change and writes the comment for it. Called by the workflows beside this file.
#   plan.sh BASE OUTPUT [FLAG…]    # for example: plan.sh origin/main comment.md --url https://eu2-cloud.acronis.com
# Without credentials, such as in a pull request from a fork, the platform is not read.
set -euo pipefail
base=$1 output=$2
shift 2

flags=(--filename "${MANIFESTS:-tenants}" --recursive --base "$base" --no-cluster --fail-on "${FAIL_ON:-switches>20}")
if [[ -z ${TENANT_PRICING_CLIENT_ID:-} ]]; then
  flags+=(--offline)
fi

code=0
kubectl-tenantpricing plan "${flags[@]}" "$@" --output markdown >"$output" || code=$?
case $code in
  0 | 2) ;;
  1) echo "the plan is not complete: see the messages above and the comment" >&2 ;;
  3) echo "something is refused: see the comment" >&2 ;;
  4) echo "a policy applies: see the comment" >&2 ;;
esac
# Changes are what a pull request is for.
[[ $code == 2 ]] && code=0
exit "$code"
