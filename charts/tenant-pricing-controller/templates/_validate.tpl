{{/*
What the schema cannot say, or not in words that help. Each message names the value and the way out.
*/}}
{{- define "controller.validate" -}}
{{- $values := .Values -}}
{{- include "controller.validateUpgrade" . -}}

{{- range $old, $new := dict "crds.install" "crds.enabled" "metrics.service.create" "metrics.service.enabled" "metrics.serviceMonitor.create" "metrics.serviceMonitor.enabled" -}}
{{- $parent := $values -}}
{{- range initial (splitList "." $old) -}}
{{- $parent = get $parent . -}}
{{- end -}}
{{- $name := last (splitList "." $old) -}}
{{- if and (hasKey $parent $name) (not (kindIs "invalid" (get $parent $name))) -}}
{{- fail (printf "%s has a new name: write %s. If you never wrote %s, helm upgrade --reuse-values repeats it from an older chart: use --reset-then-reuse-values" $old $new $old) -}}
{{- end -}}
{{- end -}}

{{- $fullname := include "controller.fullname" . -}}
{{- if not (regexMatch `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$` $fullname) -}}
{{- $origin := printf "the release's name %q" .Release.Name -}}
{{- with $values.nameOverride -}}
{{- $origin = printf "%s and nameOverride %q" $origin . -}}
{{- end -}}
{{- with $values.fullnameOverride -}}
{{- $origin = printf "fullnameOverride %q" . -}}
{{- end -}}
{{- fail (printf "%s would make %q the name of a Deployment and a Service, which not both can bear: lower-case letters, digits and '-', with a letter or digit at both ends. Choose another name of the release, or set fullnameOverride" $origin $fullname) -}}
{{- end -}}
{{- if and (or $values.metrics.service.enabled $values.metrics.serviceMonitor.enabled) (regexMatch `^[0-9]` $fullname) -}}
{{- fail (printf "%q cannot be the name of a Service, which metrics.service.enabled asks for: before Kubernetes 1.34 it begins with a letter. Choose another name of the release, or set fullnameOverride" $fullname) -}}
{{- end -}}
{{- if not (regexMatch `^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$` (include "controller.name" .)) -}}
{{- fail (printf "nameOverride is %q and cannot be the value of a label: letters, digits, '-', '_' and '.', with a letter or digit at both ends" $values.nameOverride) -}}
{{- end -}}

{{- if and (gt (int $values.replicaCount) 1) (not $values.leaderElection.enabled) -}}
{{- fail (printf "replicaCount is %d and leaderElection.enabled is false: without an election each of the pods would act, and two could ask the platform to switch the same tenant. Set leaderElection.enabled to true, or replicaCount to 1" (int $values.replicaCount)) -}}
{{- end -}}
{{- with $values.leaderElection.leaseName -}}
{{- if not (include "controller.isSubdomain" .) -}}
{{- fail (printf "leaderElection.leaseName is %q, which is no name of a Lease: lower-case letters, digits, '-' and '.', each part between two '.' with a letter or digit at both ends, 253 at most" .) -}}
{{- end -}}
{{- end -}}

{{- if not $values.allowedHosts -}}
{{- fail "allowedHosts is empty: the controller could talk to no platform at all. Name its hosts, or leave the value out for *.acronis.com" -}}
{{- end -}}
{{- range $index, $host := $values.allowedHosts -}}
{{- $name := regexReplaceAll `^(https?://)?(\*\.)?` $host "" -}}
{{- if not (and (include "controller.isHost" (regexReplaceAll `:[0-9]+$` $name "")) (include "controller.isPort" $name)) -}}
{{- fail (printf "allowedHosts[%d] is %q and cannot be used: an entry is host, *.domain, host:port or http://host:port" $index $host) -}}
{{- end -}}
{{- end -}}

{{- with $values.serviceAccount.name -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" "serviceAccount.name" "value" . "instead" "lower-case letters, digits, '-' and '.', with a letter or digit at both ends") -}}
{{- end -}}
{{- if and $values.rbac.create (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: every pod of the namespace that names no account would get the rights of the controller, and could read Secrets. Name the account in serviceAccount.name" -}}
{{- end -}}
{{- if not (trim $values.switchAuthorization.contact) -}}
{{- fail "switchAuthorization.contact is blank: write whom a refused user should ask, or leave the value out" -}}
{{- end -}}
{{- if contains "\n" (trim $values.switchAuthorization.contact) -}}
{{- fail (printf "switchAuthorization.contact is %q, and a refusal shows one line: write whom to ask in one line" $values.switchAuthorization.contact) -}}
{{- end -}}
{{- if hasKey $values.metrics.prometheusRule.alertLabels "severity" -}}
{{- fail "metrics.prometheusRule.alertLabels.severity would be ignored, because each alert has its own severity: change it for an alert, as in metrics.prometheusRule.alerts.TenantPricingStalled.severity" -}}
{{- end -}}

{{- with $values.platformProxy -}}
{{- if contains "@" . -}}
{{- fail "platformProxy contains user information (user:password@), which anybody could read in the Deployment. Store the URL in a Secret and name it in platformProxySecretRef; renew the password that was written here" -}}
{{- end -}}
{{- $authority := regexReplaceAll `^https?://` . "" | trimSuffix "/" -}}
{{- if not (and (regexMatch `^https?://` .) (include "controller.isHost" (regexReplaceAll `:[0-9]+$` $authority "")) (include "controller.isPort" $authority)) -}}
{{- fail (printf "platformProxy is %q and cannot be used: write scheme, host and port, such as http://proxy.example:3128" .) -}}
{{- end -}}
{{- if $values.platformProxySecretRef -}}
{{- fail "platformProxy and platformProxySecretRef are both set: keep one of them" -}}
{{- end -}}
{{- end -}}

{{- with $values.platformProxySecretRef -}}
{{- if not (and .name .key) -}}
{{- fail "platformProxySecretRef needs a name and a key: {name: proxy, key: url}" -}}
{{- end -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" "platformProxySecretRef.name" "value" .name "instead" "it is no name of a Secret") -}}
{{- if not (regexMatch `^[-._a-zA-Z0-9]{1,253}$` .key) -}}
{{- fail (printf "platformProxySecretRef.key is %q, which is no key of a Secret: letters, digits, '-', '_' and '.'" .key) -}}
{{- end -}}
{{- end -}}

{{- range $index, $namespace := $values.watchNamespaces -}}
{{- if not (regexMatch `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` $namespace) -}}
{{- fail (printf "watchNamespaces[%d] is %q, which is no name of a namespace: lower-case letters, digits and '-', 63 at most" $index $namespace) -}}
{{- end -}}
{{- end -}}
{{- if ne (len $values.watchNamespaces) (len (uniq $values.watchNamespaces)) -}}
{{- fail (printf "watchNamespaces names a namespace twice: %s. Take one of them out" (join ", " $values.watchNamespaces)) -}}
{{- end -}}

{{- with $values.watchLabelSelector -}}
{{- include "controller.refuseUnless" (dict "is" "Selector" "field" "watchLabelSelector" "value" . "instead" "write it as for kubectl get -l, such as shard=a or shard in (a,b)") -}}
{{- end -}}

{{- if not (has $values.admin.host (list "0.0.0.0" "[::]")) -}}
{{- fail (printf "admin.host is %q and cannot be used: a pod does not know its address before it starts, and the kubelet probes no other. Write 0.0.0.0, or [::] where there is only IPv6" $values.admin.host) -}}
{{- end -}}

{{- range $directive := splitList "," $values.logLevel -}}
{{- if not (regexMatch `^(?i)(\s*[^=\s].*=)?\s*(off|error|warn|info|debug|trace)\s*$` $directive) -}}
{{- fail (printf "logLevel contains %q, which is neither error, warn, info, debug, trace or off nor a directive such as tenant_pricing_controller=debug" $directive) -}}
{{- end -}}
{{- end -}}

{{- include "controller.validateImage" . -}}
{{- if and $values.image.digest (not (regexMatch `^sha256:[0-9a-f]{64}$` $values.image.digest)) -}}
{{- fail (printf "image.digest is %q and cannot be used: write sha256: and 64 hexadecimal digits, as the registry shows it" $values.image.digest) -}}
{{- end -}}

{{- with $values.namespaceOverride -}}
{{- if not (regexMatch `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` .) -}}
{{- fail (printf "namespaceOverride is %q, which is no name of a namespace: lower-case letters, digits and '-', 63 at most" .) -}}
{{- end -}}
{{- end -}}

{{- $unavailable := toString $values.podDisruptionBudget.maxUnavailable -}}
{{- if not (regexMatch `^[0-9]+%?$` $unavailable) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %q and cannot be used: write a number of pods, such as 1, or a percentage, such as 50%%" $unavailable) -}}
{{- end -}}
{{- if and (hasSuffix "%" $unavailable) (gt (trimSuffix "%" $unavailable | int) 100) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %s and cannot be used: a percentage is at most 100%%" $unavailable) -}}
{{- end -}}
{{- if and $values.podDisruptionBudget.enabled (regexMatch `^0+%?$` $unavailable) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %s: no pod could ever be evicted, and every drain of its node would wait for ever. Write 1, or set podDisruptionBudget.enabled to false" $unavailable) -}}
{{- end -}}

{{- include "controller.validateMetrics" . -}}
{{- include "controller.validateLabels" . -}}
{{- include "controller.validateNetwork" . -}}
{{- include "controller.validatePod" . -}}
{{- include "controller.validateExtras" . -}}

{{- if and $values.networkPolicy.enabled $values.platformProxySecretRef (not $values.networkPolicy.egress.platform.ports) -}}
{{- fail "networkPolicy.egress.platform.ports is empty, and the proxy's port is in a Secret, where the chart cannot see it: name the port, for example [3128]" -}}
{{- end -}}
{{- end -}}

{{/*
A Deployment keeps its selector for life: the API server would stop the upgrade in its middle. Where Helm only renders,
there is no Deployment to compare with. Helm itself refuses one that belongs to another release.
*/}}
{{- define "controller.validateUpgrade" -}}
{{- $name := include "controller.fullname" . -}}
{{- $namespace := include "controller.namespace" . -}}
{{- with lookup "apps/v1" "Deployment" $namespace $name -}}
{{- $own := eq $.Release.Name (default dict .metadata.annotations | dig "meta.helm.sh/release-name" "") -}}
{{- $old := index .spec.selector.matchLabels "app.kubernetes.io/name" | default "" -}}
{{- $new := include "controller.name" $ -}}
{{- if and $own (ne $old $new) -}}
{{- fail (printf "nameOverride would change the selector of the Deployment %s/%s from app.kubernetes.io/name=%s to %s, which the API server refuses. Nothing has changed yet. Set nameOverride to %s, or set fullnameOverride as well: with another name, Helm makes a new Deployment and deletes the old one. Without an election, set replicaCount to 0 before that" $namespace $name $old $new $old) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuses a text that is not written as it must be. (dict "is" WHAT "field" PATH "value" TEXT "instead" WAY OUT)
*/}}
{{- define "controller.refuseUnless" -}}
{{- $text := kindIs "invalid" .value | ternary "" (toString .value) -}}
{{- if not (include (printf "controller.is%s" .is) $text) -}}
{{- fail (printf "%s is %q and cannot be used: %s" .field $text .instead) -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateImage" -}}
{{- $image := .Values.image -}}
{{- range $field, $registry := dict "image.registry" $image.registry "global.imageRegistry" .Values.global.imageRegistry -}}
{{- with $registry -}}
{{- include "controller.refuseUnless" (dict "is" "Registry" "field" $field "value" . "instead" "write host, host:port or host/path, without a scheme") -}}
{{- end -}}
{{- end -}}
{{- $parts := splitList "/" $image.repository -}}
{{- $path := regexReplaceAll `^([^/]*[.:A-Z][^/]*|localhost)/` $image.repository "" -}}
{{- $host := trimSuffix $path $image.repository -}}
{{- if not (and (include "controller.isRepository" $path) (or (not $host) (include "controller.isRegistry" $host))) -}}
{{- fail (printf "image.repository is %q and cannot be used: write lower-case names with '/' between them, without a scheme. The tag belongs into image.tag, and a digest into image.digest" $image.repository) -}}
{{- end -}}
{{- if and $image.tag (not (regexMatch `^[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}$` $image.tag)) -}}
{{- fail (printf "image.tag is %q and cannot be used: letters, digits, '_', '.' and '-', without '.' or '-' at the beginning, 128 at most" $image.tag) -}}
{{- end -}}
{{- range $field, $secrets := dict "imagePullSecrets" .Values.imagePullSecrets "global.imagePullSecrets" .Values.global.imagePullSecrets -}}
{{- range $index, $secret := $secrets -}}
{{- $name := kindIs "map" $secret | ternary (get (kindIs "map" $secret | ternary $secret dict) "name") $secret -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" (printf "%s[%d]" $field $index) "value" $name "instead" "it is no name of a Secret") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Labels and annotations: a key or a value that the API server refuses would stop an installation in its middle.
*/}}
{{- define "controller.validateLabels" -}}
{{- $values := .Values -}}
{{- $metrics := $values.metrics -}}
{{- $annotations := dict "deploymentAnnotations" $values.deploymentAnnotations "podAnnotations" $values.podAnnotations "serviceAccount.annotations" $values.serviceAccount.annotations "metrics.service.annotations" $metrics.service.annotations -}}
{{- $labels := dict "commonLabels" $values.commonLabels "podLabels" $values.podLabels "nodeSelector" $values.nodeSelector -}}
{{- range list "serviceMonitor" "podMonitor" "prometheusRule" "dashboard" -}}
{{- $_ := set $annotations (printf "metrics.%s.annotations" .) (get $metrics .).annotations -}}
{{- $_ := set $labels (printf "metrics.%s.labels" .) (get $metrics .).labels -}}
{{- end -}}
{{- range $field, $map := $annotations -}}
{{- range $key, $_ := $map -}}
{{- if not (include "controller.isLabelKey" (lower $key)) -}}
{{- fail (printf "%s has the key %q, which is no key of an annotation: a name of at most 63 letters, digits, '-', '_' and '.', and before it perhaps a domain and '/'" $field $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $field, $map := $labels -}}
{{- range $key, $value := $map -}}
{{- if not (include "controller.isLabelKey" $key) -}}
{{- fail (printf "%s has the key %q, which is no key of a label: a name of at most 63 letters, digits, '-', '_' and '.', and before it perhaps a domain and '/'" $field $key) -}}
{{- end -}}
{{- if not (include "controller.isLabelValue" $value) -}}
{{- fail (printf "%s.%s is %q, which is no value of a label: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends" $field $key $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
A selector of labels, as Kubernetes reads it. (dict "field" PATH "selector" SELECTOR)
*/}}
{{- define "controller.validateSelector" -}}
{{- $field := .field -}}
{{- range $key, $value := .selector.matchLabels -}}
{{- include "controller.refuseUnless" (dict "is" "LabelKey" "field" (printf "%s.matchLabels" $field) "value" $key "instead" "it is no key of a label") -}}
{{- include "controller.refuseUnless" (dict "is" "LabelValue" "field" (printf "%s.matchLabels.%s" $field $key) "value" $value "instead" "it is no value of a label") -}}
{{- end -}}
{{- range $index, $expression := .selector.matchExpressions -}}
{{- $path := printf "%s.matchExpressions[%d]" $field $index -}}
{{- include "controller.refuseUnless" (dict "is" "LabelKey" "field" (printf "%s.key" $path) "value" $expression.key "instead" "it is no key of a label") -}}
{{- if and (hasSuffix "In" (default "" $expression.operator)) (not $expression.values) -}}
{{- fail (printf "%s has operator: %s and no values: name them, or write operator: Exists" $path $expression.operator) -}}
{{- end -}}
{{- if and (hasSuffix "Exist" (trimSuffix "s" (default "" $expression.operator))) $expression.values -}}
{{- fail (printf "%s has operator: %s, which compares with no values: take them out, or write operator: In" $path $expression.operator) -}}
{{- end -}}
{{- range $expression.values -}}
{{- include "controller.refuseUnless" (dict "is" "LabelValue" "field" (printf "%s.values" $path) "value" . "instead" "it is no value of a label") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateNetwork" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $instead := "write an address and the length of its prefix, such as 10.0.0.0/8 or fd00::/8" -}}
{{- range $field, $ranges := dict "ingress.nodeCIDRs" $policy.ingress.nodeCIDRs "egress.apiServer.cidrs" $policy.egress.apiServer.cidrs "egress.platform.cidrs" $policy.egress.platform.cidrs -}}
{{- range $index, $range := $ranges -}}
{{- include "controller.refuseUnless" (dict "is" "CIDR" "field" (printf "networkPolicy.%s[%d]" $field $index) "value" $range "instead" $instead) -}}
{{- end -}}
{{- end -}}
{{- range $index, $peer := $policy.ingress.from -}}
{{- $field := printf "networkPolicy.ingress.from[%d]" $index -}}
{{- if not $peer -}}
{{- fail (printf "%s is empty and admits no one: name namespaceSelector, podSelector or ipBlock" $field) -}}
{{- end -}}
{{- range $name, $selector := pick $peer "podSelector" "namespaceSelector" -}}
{{- include "controller.validateSelector" (dict "field" (printf "%s.%s" $field $name) "selector" $selector) -}}
{{- end -}}
{{- with $peer.ipBlock -}}
{{- if gt (len $peer) 1 -}}
{{- fail (printf "%s has ipBlock and a selector, which exclude each other: write two entries" $field) -}}
{{- end -}}
{{- range $range := prepend (.except | default list) .cidr -}}
{{- include "controller.refuseUnless" (dict "is" "CIDR" "field" (printf "%s.ipBlock" $field) "value" $range "instead" $instead) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateMetrics" -}}
{{- $metrics := .Values.metrics -}}
{{- if and $metrics.serviceMonitor.enabled $metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true: Prometheus would count each pod twice. Keep one of them" -}}
{{- end -}}
{{- range $monitor := list "serviceMonitor" "podMonitor" -}}
{{- range $name := list "interval" "scrapeTimeout" -}}
{{- with get (get $metrics $monitor) $name -}}
{{- include "controller.refuseUnless" (dict "is" "Duration" "field" (printf "metrics.%s.%s" $monitor $name) "value" . "instead" "write a time such as 30s") -}}
{{- end -}}
{{- end -}}
{{- $interval := (get $metrics $monitor).interval -}}
{{- $timeout := (get $metrics $monitor).scrapeTimeout -}}
{{- if and $interval $timeout (gt (include "controller.milliseconds" $timeout | int64) (include "controller.milliseconds" $interval | int64)) -}}
{{- fail (printf "metrics.%s.scrapeTimeout is %s and metrics.%s.interval is %s: the operator drops a monitor whose timeout is longer than its interval, and nothing would be scraped. Shorten the timeout" $monitor $timeout $monitor $interval) -}}
{{- end -}}
{{- end -}}
{{- include "controller.validateAlerts" . -}}
{{- end -}}

{{/*
An alert that is misspelled would keep its old threshold without a word.
*/}}
{{- define "controller.validateAlerts" -}}
{{- range $name, $_ := .Values.metrics.prometheusRule.alertLabels -}}
{{- if or (hasPrefix "__" $name) (not (regexMatch `^[a-zA-Z_][a-zA-Z0-9_]*$` $name)) -}}
{{- fail (printf "metrics.prometheusRule.alertLabels has %q, which is no label of Prometheus: letters, digits and '_', without a digit or two '_' at the beginning" $name) -}}
{{- end -}}
{{- end -}}
{{- with .Values.metrics.prometheusRule.runbookUrl -}}
{{- if not (regexMatch `^https?://[^\s/#]+[^\s#]*$` .) -}}
{{- fail (printf "metrics.prometheusRule.runbookUrl is %q and cannot be used: write the URL of a page, such as https://wiki.example/pricing. The chart adds '#' and the alert" .) -}}
{{- end -}}
{{- end -}}
{{- $rules := dict -}}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- range .rules -}}
{{- $_ := set $rules .alert . -}}
{{- end -}}
{{- end -}}
{{- range $name, $change := .Values.metrics.prometheusRule.alerts -}}
{{- $path := printf "metrics.prometheusRule.alerts.%s" $name -}}
{{- $rule := get $rules $name -}}
{{- if not $rule -}}
{{- fail (printf "%s changes an alert that there is not: write one of %s" $path (keys $rules | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if and (hasKey $change "threshold") (not (regexMatch `> [0-9.]+$` $rule.expr)) -}}
{{- fail (printf "%s.threshold changes nothing, because this alert compares with no number: take it out" $path) -}}
{{- end -}}
{{- with $change.for -}}
{{- include "controller.refuseUnless" (dict "is" "Duration" "field" (printf "%s.for" $path) "value" . "instead" "write a time such as 15m") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Which value sets what an environment variable TENANT_PRICING_… would set.
*/}}
{{- define "controller.settings" -}}
ADMIN_ADDRESS: set admin.host and admin.port
ALLOWED_HOSTS: set allowedHosts
LEADER_ELECT: set leaderElection.enabled
LEASE_NAME: set leaderElection.leaseName
LEASE_NAMESPACE: it is the namespace of the release, or namespaceOverride
LOG_FORMAT: set logFormat
LOG_LEVEL: set logLevel
PLATFORM_PROXY: set platformProxy, or platformProxySecretRef for a URL with a password
WATCH_LABEL_SELECTOR: set watchLabelSelector
WATCH_NAMESPACES: set watchNamespaces
{{- end -}}
