{{/*
The defaults of all values but allowedHosts and resources. Without allowedHosts the controller could reach no
platform. A null in resources asks for no limit.

Helm omits a value that is set to null. With --reuse-values it also omits values that an older chart did not have. So
each template begins with controller.complete, which fills in what is missing, and reads .Values after that. A null
within a map, such as podLabels: {a: null}, takes its key away.
*/}}
{{- define "controller.defaults" -}}
global: {imageRegistry: "", imagePullSecrets: []}
nameOverride: ""
fullnameOverride: ""
namespaceOverride: ""
commonLabels: {}
replicaCount: 1
leaderElection: {enabled: true, leaseName: ""}
podDisruptionBudget: {enabled: true, maxUnavailable: 1}
topologySpreadConstraints: []
revisionHistoryLimit: 10
image: {registry: "", repository: tenant-pricing-controller, tag: "", digest: "", pullPolicy: IfNotPresent}
imagePullSecrets: []
allowedHosts: []
platformProxy: ""
platformProxySecretRef: {}
watchNamespaces: []
watchLabelSelector: ""
crds: {enabled: true, keep: true}
rbac: {create: true, userRoles: true}
switchAuthorization: {enabled: false, contact: the administrators of the cluster}
serviceAccount: {create: true, name: "", annotations: {}}
admin: {host: 0.0.0.0, port: 8080}
metrics:
  service: {enabled: false, annotations: {}}
  serviceMonitor: &monitor
    {enabled: false, labels: {}, annotations: {}, interval: "", scrapeTimeout: "", relabelings: [], metricRelabelings: []}
  podMonitor: *monitor
  prometheusRule: {enabled: false, labels: {}, annotations: {}, runbookUrl: "", alertLabels: {}, alerts: {}}
  dashboard: {enabled: false, labels: {grafana_dashboard: "1"}, annotations: {}}
logFormat: json
logLevel: info
networkPolicy:
  enabled: false
  ingress: {from: [], nodeCIDRs: []}
  egress:
    dnsPorts: [53, 5353]
    apiServer: {cidrs: [], ports: [443, 6443]}
    platform: {cidrs: [], ports: []}
resources: {}
deploymentAnnotations: {}
podAnnotations: {}
podLabels: {}
nodeSelector: {}
tolerations: []
affinity: {}
priorityClassName: ""
runtimeClassName: ""
schedulerName: ""
hostUsers: true
hostAliases: []
dnsPolicy: ""
dnsConfig: {}
extraEnv: []
extraEnvFrom: []
extraVolumes: []
extraVolumeMounts: []
extraObjects: []
{{- end -}}

{{- define "controller.complete" -}}
{{- include "controller.dropNulls" (dict "map" (omit .Values "global") "path" "") -}}
{{- with .Values.global -}}
{{- include "controller.dropNulls" (dict "map" (pick . "imagePullSecrets") "path" "global.") -}}
{{- end -}}
{{- include "controller.fill" (dict "values" .Values "defaults" (include "controller.defaults" . | fromYaml)) -}}
{{- end -}}

{{/*
Nothing can be said of a null in a list, and it is refused. (dict "map" MAP "path" PATH)
*/}}
{{- define "controller.dropNulls" -}}
{{- range $name, $value := .map -}}
{{- $path := printf "%s%s" $.path $name -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $.map $name -}}
{{- else if kindIs "map" $value -}}
{{- include "controller.dropNulls" (dict "map" $value "path" (printf "%s." $path)) -}}
{{- else if kindIs "slice" $value -}}
{{- range $index, $entry := $value -}}
{{- if kindIs "invalid" $entry -}}
{{- fail (printf "%s[%d] is null: take it out" $path $index) -}}
{{- else if kindIs "map" $entry -}}
{{- include "controller.dropNulls" (dict "map" $entry "path" (printf "%s[%d]." $path $index)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "controller.fill" -}}
{{- range $name, $default := .defaults -}}
{{- $value := get $.values $name -}}
{{- if or (not (hasKey $.values $name)) (kindIs "invalid" $value) -}}
{{- $_ := set $.values $name $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $value) -}}
{{- include "controller.fill" (dict "values" $value "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "controller.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "controller.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "controller.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The namespace of all objects but those of watchNamespaces.
*/}}
{{- define "controller.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "controller.selectorLabels" -}}
app.kubernetes.io/name: {{ include "controller.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "controller.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "controller.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/*
No label of the user's replaces one of the chart's: the selectors depend on them.
*/}}
{{- define "controller.labels" -}}
{{- merge (include "controller.ownLabels" . | fromYaml) .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "controller.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "controller.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
The release and the chart name the Lease, and no value that renames objects: an upgrade with another nameOverride or
fullnameOverride starts a second Deployment before it deletes the first, and the pods of both must elect one leader.
Where namespaceOverride puts releases of several namespaces together, their namespaces distinguish them.
*/}}
{{- define "controller.leaseName" -}}
{{- $name := .Release.Name -}}
{{- if ne $name .Chart.Name -}}
{{- $name = printf "%s-%s" $name .Chart.Name -}}
{{- end -}}
{{- if ne (include "controller.namespace" .) .Release.Namespace -}}
{{- $name = printf "%s.%s" .Release.Namespace $name -}}
{{- end -}}
{{- default $name .Values.leaderElection.leaseName -}}
{{- end -}}

{{/*
"true" if a new pod may start beside the running pods of the release: with an election, and the same one. Pods with
different Leases, or with none, do not know of each other, and each would lead. The cluster shows what runs. Where Helm
only renders (helm template, and tools built on it), the values decide.
*/}}
{{- define "controller.oneElection" -}}
{{- $one := .Values.leaderElection.enabled -}}
{{- with lookup "apps/v1" "Deployment" (include "controller.namespace" .) (include "controller.fullname" .) -}}
{{- $arguments := (first .spec.template.spec.containers).args | default list -}}
{{- if not (and (has "--leader-elect=true" $arguments) (has (printf "--lease-name=%s" (include "controller.leaseName" $)) $arguments)) -}}
{{- $one = false -}}
{{- end -}}
{{- end -}}
{{- $one -}}
{{- end -}}

{{/*
The name of cluster-wide objects. It distinguishes releases of one name in two namespaces: a namespace has no ':' in
its name.
*/}}
{{- define "controller.clusterName" -}}
{{ include "controller.namespace" . }}:{{ include "controller.fullname" . }}
{{- end -}}

{{/*
global.imageRegistry or image.registry replaces the registry in image.repository, if there is one.
*/}}
{{- define "controller.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with default .Values.image.registry .Values.global.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- $first := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $first) (contains ":" $first) (eq "localhost" $first)) -}}
{{- $repository = join "/" (rest $parts) -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ $repository }}@{{ .digest }}
{{- else -}}
{{ $repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
global.imagePullSecrets and imagePullSecrets, each once. A parent chart may write a name or {name: ...}.
*/}}
{{- define "controller.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $name := . -}}
{{- if kindIs "map" . -}}
{{- $name = .name -}}
{{- end -}}
{{- $secrets = append $secrets (dict "name" $name) -}}
{{- end -}}
{{- with $secrets -}}
{{- uniq . | toYaml -}}
{{- end -}}
{{- end -}}

{{/*
The environment of the container, as a list. Where extraEnvFrom brings variables, those of the settings that are not
always arguments are empty here, which counts as unset: a ConfigMap must not narrow what the controller watches.
*/}}
{{- define "controller.environment" -}}
{{- $environment := list -}}
{{- $values := .Values -}}
{{- with $values.platformProxySecretRef -}}
{{- $reference := dict "secretKeyRef" (dict "name" .name "key" .key) -}}
{{- $environment = append $environment (dict "name" "TENANT_PRICING_PLATFORM_PROXY" "valueFrom" $reference) -}}
{{- end -}}
{{- if $values.extraEnvFrom -}}
{{- if not $values.platformProxySecretRef -}}
{{- $environment = append $environment (dict "name" "TENANT_PRICING_PLATFORM_PROXY" "value" "") -}}
{{- end -}}
{{- range list "TENANT_PRICING_WATCH_NAMESPACES" "TENANT_PRICING_WATCH_LABEL_SELECTOR" -}}
{{- $environment = append $environment (dict "name" . "value" "") -}}
{{- end -}}
{{- end -}}
{{- with concat $environment $values.extraEnv -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/*
The spread constraints of the pods. By default, with several replicas, the pods of one revision are on different nodes
where there is room. The scheduler's own default does not know of revisions: it counts the pods that an upgrade replaces.
*/}}
{{- define "controller.topologySpreadConstraints" -}}
{{- with .Values.topologySpreadConstraints -}}
{{- toYaml . -}}
{{- else -}}
{{- if gt (int .Values.replicaCount) 1 -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "controller.selectorLabels" . | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
"true" if objects of a kind of the Prometheus Operator can be installed. Where the list of kinds comes from a cluster,
it says so. Where Helm only renders, the list is Helm's own, which lacks even the API of the aggregator, and the values
decide. (dict "context" $ "kind" KIND)
*/}}
{{- define "controller.hasMonitoring" -}}
{{- $kinds := .context.Capabilities.APIVersions -}}
{{- or (not ($kinds.Has "apiregistration.k8s.io/v1")) ($kinds.Has (printf "monitoring.coreos.com/v1/%s" .kind)) -}}
{{- end -}}

{{/*
The rule groups of files/alerts.yaml, as metrics.prometheusRule changes them. An expression with a threshold ends in
`> NUMBER`.
*/}}
{{- define "controller.alerts" -}}
{{- $values := .Values.metrics.prometheusRule -}}
{{- $groups := list -}}
{{- range $group := (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $change := get $values.alerts $rule.alert | default dict -}}
{{- if ne (toString $change.enabled) "false" -}}
{{- if hasKey $change "threshold" -}}
{{- $_ := set $rule "expr" (regexReplaceAll `> [0-9.]+$` $rule.expr (printf "> %v" $change.threshold)) -}}
{{- end -}}
{{- with $change.for -}}
{{- $_ := set $rule "for" . -}}
{{- end -}}
{{- $severity := $change.severity | default $rule.labels.severity -}}
{{- $_ := set $rule "labels" (merge (dict "severity" $severity) $values.alertLabels) -}}
{{- with $values.runbookUrl -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" . (lower $rule.alert)) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- $groups = append $groups (dict "name" $group.name "rules" $rules) -}}
{{- end -}}
{{- dict "groups" $groups | toYaml -}}
{{- end -}}

{{/*
How Prometheus scrapes the admin port, from the values of a monitor.
*/}}
{{- define "controller.endpoint" -}}
port: admin
path: /metrics
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The rights of the controller, in the whole cluster or in one namespace. The last rule works in a Role too: a request
for one namespace is a request in that namespace. (A request for all namespaces is not.)
*/}}
{{- define "controller.rules" -}}
- apiGroups: [tenantpricing.io]
  resources: [tenantpricings, platformconnections]
  verbs: [get, list, watch]
- apiGroups: [tenantpricing.io]
  resources: [tenantpricings/status, platformconnections/status]
  verbs: [patch]
# The credentials that a PlatformConnection names, one at a time: neither list nor watch.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
# The labels that allowedNamespaces.selector needs.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}

{{/*
The ports of the platform that a NetworkPolicy admits, {public: [...], any: [...], isProxy: BOOL}: at public addresses,
and at any. Which entries of allowedHosts admit which addresses is the rule of the controller itself
(docs/operations.md). With a proxy, only the proxy is reached.
*/}}
{{- define "controller.platformPorts" -}}
{{- $ports := .Values.networkPolicy.egress.platform.ports -}}
{{- $public := list -}}
{{- $any := list -}}
{{- $isProxy := or (not (empty .Values.platformProxy)) (not (empty .Values.platformProxySecretRef)) -}}
{{- if $isProxy -}}
{{- $any = $ports -}}
{{- if and (not $any) .Values.platformProxy -}}
{{- $any = list (include "controller.port" .Values.platformProxy | int) -}}
{{- end -}}
{{- else -}}
{{- range .Values.allowedHosts -}}
{{- $numbers := $ports | default (list (include "controller.port" . | int)) -}}
{{- $host := regexReplaceAll `^https?://` . "" -}}
{{- $isAddress := or (hasPrefix "[" $host) (regexMatch `^[0-9.]+(:[0-9]+)?$` $host) -}}
{{- if or $isAddress (and (not (hasPrefix "*." $host)) (or (hasPrefix "http://" .) (regexMatch `:[0-9]+$` $host))) -}}
{{- $any = concat $any $numbers -}}
{{- else -}}
{{- $public = concat $public $numbers -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "public" (uniq $public) "any" (uniq $any) "isProxy" $isProxy | toYaml -}}
{{- end -}}

{{/*
The port of a URL, or of an entry of allowedHosts.
*/}}
{{- define "controller.port" -}}
{{- $port := regexFind `:[0-9]+$` (trimSuffix "/" .) | trimPrefix ":" -}}
{{- default (hasPrefix "http://" . | ternary "80" "443") $port -}}
{{- end -}}

{{/*
The variables of a policy that say what an edit of a TenantPricing does to bring its switch about, or nearer. `edits` is
empty if it does nothing of the kind: the object does not ask for production, or its switch is completed.
*/}}
{{- define "controller.switchEdits" -}}
- name: isNew
  expression: request.operation == 'CREATE'
- name: isProduction
  expression: object.spec.?mode.orValue('') == 'production'
- name: isCompleted
  expression: "!variables.isNew && oldObject.?status.?switch.?phase.orValue('') == 'Completed'"
- name: moves
  expression: >-
    !variables.isProduction || variables.isCompleted ? [] :
    variables.isNew ? ['mode is production'] :
    (oldObject.spec.?mode.orValue('') != 'production' ? ['mode becomes production'] : [])
    + (oldObject.spec.?suspend.orValue(false) && !object.spec.?suspend.orValue(false) ? ['suspend is lifted'] : [])
    + (object.spec.?switch.?at != oldObject.spec.?switch.?at ? ['switch.at changes'] : [])
    + (object.spec.?switch.?notBefore != oldObject.spec.?switch.?notBefore ? ['switch.notBefore changes'] : [])
    + (object.spec.?connectionRef != oldObject.spec.?connectionRef ? ['connectionRef changes'] : [])
# Any other change of the spec has the switch planned again, by the connection's settings of now.
- name: edits
  expression: >-
    variables.moves.size() > 0 || !variables.isProduction || variables.isCompleted || variables.isNew
    || object.spec.?suspend.orValue(false) || object.spec == oldObject.spec
    ? variables.moves : ['the spec changes, so the switch is planned again']
{{- end -}}

{{/*
The middle of a refusal, as CEL: who lacks which right where, and whom to ask. (dict "context" $ "resource" PLURAL
"role" NAME)
*/}}
{{- define "controller.switchRefusal" -}}
'It needs the verb "switch" on {{ .resource }} in the namespace ' + request.namespace + ', which ' + request.userInfo.username + ' lacks. Ask ' + {{ .context.Values.switchAuthorization.contact | trim | toJson }} + ' for a RoleBinding to the ClusterRole {{ .role }}'
{{- end -}}
