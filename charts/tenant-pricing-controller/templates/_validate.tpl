{{/*
What the schema cannot say, or not in words that help. Each message names the value and the way out.
*/}}
{{- define "controller.validate" -}}
{{- $values := .Values -}}

{{- range $old, $new := dict "crds.install" "crds.enabled" "metrics.service.create" "metrics.service.enabled" "metrics.serviceMonitor.create" "metrics.serviceMonitor.enabled" -}}
{{- $parent := $values -}}
{{- range initial (splitList "." $old) -}}
{{- $parent = get $parent . -}}
{{- end -}}
{{- $name := last (splitList "." $old) -}}
{{- if and (hasKey $parent $name) (not (kindIs "invalid" (get $parent $name))) -}}
{{- fail (printf "%s has a new name: write %s" $old $new) -}}
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
{{- if or (gt (len .) 253) (not (regexMatch `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$` .)) -}}
{{- fail (printf "leaderElection.leaseName is %q, which is no name of a Lease: lower-case letters, digits, '-' and '.', each part between two '.' with a letter or digit at both ends, 253 at most" .) -}}
{{- end -}}
{{- end -}}

{{- if not $values.allowedHosts -}}
{{- fail "allowedHosts is empty: the controller could talk to no platform at all. Name its hosts, or leave the value out for *.acronis.com" -}}
{{- end -}}
{{- range $index, $host := $values.allowedHosts -}}
{{- if not (regexMatch `^(https?://)?((\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$` $host) -}}
{{- fail (printf "allowedHosts[%d] is %q and cannot be used: an entry is host, *.domain, host:port or http://host:port" $index $host) -}}
{{- end -}}
{{- end -}}

{{- if and $values.rbac.create (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: every pod of the namespace that names no account would get the rights of the controller, and could read Secrets. Name the account in serviceAccount.name" -}}
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
{{- if not (regexMatch `^https?://[^/?#\s]+/?$` .) -}}
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
{{- end -}}

{{- range $index, $namespace := $values.watchNamespaces -}}
{{- if not (regexMatch `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` $namespace) -}}
{{- fail (printf "watchNamespaces[%d] is %q, which is no name of a namespace: lower-case letters, digits and '-', 63 at most" $index $namespace) -}}
{{- end -}}
{{- end -}}
{{- if ne (len $values.watchNamespaces) (len (uniq $values.watchNamespaces)) -}}
{{- fail (printf "watchNamespaces names a namespace twice: %s. Take one of them out" (join ", " $values.watchNamespaces)) -}}
{{- end -}}

{{- if not (regexMatch `^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\])$` $values.admin.host) -}}
{{- fail (printf "admin.host is %q and cannot be used: write an IP address, such as 0.0.0.0, or [::] where there is only IPv6" $values.admin.host) -}}
{{- end -}}

{{- range $directive := splitList "," $values.logLevel -}}
{{- if not (or (has $directive (list "off" "error" "warn" "info" "debug" "trace")) (contains "=" $directive)) -}}
{{- fail (printf "logLevel contains %q, which is neither error, warn, info, debug or trace nor a directive such as tenant_pricing_controller=debug" $directive) -}}
{{- end -}}
{{- end -}}

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
{{- if and $values.podDisruptionBudget.enabled (regexMatch `^0+%?$` $unavailable) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %s: no pod could ever be evicted, and every drain of its node would wait for ever. Write 1, or set podDisruptionBudget.enabled to false" $unavailable) -}}
{{- end -}}

{{- range $index, $constraint := $values.topologySpreadConstraints -}}
{{- range list "topologyKey" "labelSelector" -}}
{{- if not (get $constraint .) -}}
{{- $example := eq . "topologyKey" | ternary "topologyKey: kubernetes.io/hostname" (printf "labelSelector: {matchLabels: {app.kubernetes.io/instance: %s}}" $.Release.Name) -}}
{{- fail (printf "topologySpreadConstraints[%d] has no %s, and would spread nothing: add %s" $index . $example) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- include "controller.validateMetrics" . -}}
{{- include "controller.validateExtras" . -}}

{{- if and $values.networkPolicy.enabled $values.platformProxySecretRef (not $values.networkPolicy.egress.platform.ports) -}}
{{- fail "networkPolicy.egress.platform.ports is empty, and the proxy's port is in a Secret, where the chart cannot see it: name the port, for example [3128]" -}}
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
{{- if not (regexMatch `^([0-9]+(ms|s|m|h))+$` .) -}}
{{- fail (printf "metrics.%s.%s is %q and cannot be used: write a time such as 30s" $monitor $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "controller.validateAlerts" . -}}
{{- end -}}

{{/*
An alert that is misspelled would keep its old threshold without a word.
*/}}
{{- define "controller.validateAlerts" -}}
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
{{- if and $change.for (not (regexMatch `^([0-9]+(ms|s|m|h|d))+$` $change.for)) -}}
{{- fail (printf "%s.for is %q and cannot be used: write a time such as 15m" $path $change.for) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The values by which a user adds to the pod. None of them may change a setting, hide the program or its token, or break
the Pod Security Standard `restricted`.
*/}}
{{- define "controller.validateExtras" -}}
{{- $values := .Values -}}
{{- $settings := include "controller.settings" . | fromYaml -}}
{{- range $index, $variable := $values.extraEnv -}}
{{- if not $variable.name -}}
{{- fail (printf "extraEnv[%d] has no name: write {name: NAME, value: VALUE}" $index) -}}
{{- end -}}
{{- if hasPrefix "TENANT_PRICING_" $variable.name -}}
{{- $instead := get $settings (trimPrefix "TENANT_PRICING_" $variable.name) | default "no value sets it: take it out" -}}
{{- fail (printf "extraEnv[%d] is %s, which is a setting of the controller: %s" $index $variable.name $instead) -}}
{{- end -}}
{{- end -}}
{{- range $index, $source := $values.extraEnvFrom -}}
{{- if hasPrefix "TENANT_PRICING_" (default "" $source.prefix) -}}
{{- fail (printf "extraEnvFrom[%d].prefix is %q: variables that begin so are settings of the controller, which only values of the chart set. Choose another prefix" $index $source.prefix) -}}
{{- end -}}
{{- end -}}

{{- $types := list "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "persistentVolumeClaim" "projected" "secret" -}}
{{- range $index, $volume := $values.extraVolumes -}}
{{- range $type, $_ := omit $volume "name" -}}
{{- if not (has $type $types) -}}
{{- fail (printf "extraVolumes[%d] is of the type %s, which the Pod Security Standard `restricted` does not admit: use one of %s" $index $type (join ", " $types)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $kept := dict "/var/run/secrets/kubernetes.io/serviceaccount" "the token by which the controller speaks to the API server" "/usr/local/bin/tenant-pricing-controller" "the program" -}}
{{- range $index, $mount := $values.extraVolumeMounts -}}
{{- $written := default "" $mount.mountPath -}}
{{- $path := clean (printf "/%s" $written) -}}
{{- $path = regexReplaceAll `^/run(/|$)` $path "/var/run$1" -}}
{{- range $folder, $what := $kept -}}
{{- if or (eq $path "/") (eq $path $folder) (hasPrefix (printf "%s/" $path) $folder) (hasPrefix (printf "%s/" $folder) $path) -}}
{{- fail (printf "extraVolumeMounts[%d].mountPath is %q, which would hide %s (%s): mount it elsewhere" $index $written $folder $what) -}}
{{- end -}}
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
