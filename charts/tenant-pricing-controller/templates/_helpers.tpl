{{/*
The defaults of all values but allowedHosts and resources. Without allowedHosts the controller could reach no
platform. A null in resources asks for no limit.

Helm omits a value that is set to null. With --reuse-values it also omits values that an older chart did not have. So
each template begins with controller.complete, which fills in what is missing, and reads .Values after that.
*/}}
{{- define "controller.defaults" -}}
global: {imageRegistry: "", imagePullSecrets: []}
nameOverride: ""
fullnameOverride: ""
replicaCount: 1
leaderElection: {enabled: true, leaseName: ""}
image: {repository: tenant-pricing-controller, tag: "", digest: "", pullPolicy: IfNotPresent}
imagePullSecrets: []
allowedHosts: []
platformProxy: ""
platformProxySecretRef: {}
watchNamespaces: []
admin: {host: 0.0.0.0, port: 8080}
metrics:
  service: {enabled: false, annotations: {}}
  serviceMonitor: {enabled: false, labels: {}, interval: ""}
watchLabelSelector: ""
logFormat: json
logLevel: info
crds: {enabled: true, keep: true}
rbac: {create: true, userRoles: true}
serviceAccount: {create: true, name: "", annotations: {}}
resources: {}
podAnnotations: {}
podLabels: {}
nodeSelector: {}
tolerations: []
affinity: {}
priorityClassName: ""
{{- end -}}

{{- define "controller.complete" -}}
{{- include "controller.fill" (dict "values" .Values "defaults" (include "controller.defaults" . | fromYaml)) -}}
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

{{- define "controller.selectorLabels" -}}
app.kubernetes.io/name: {{ include "controller.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "controller.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "controller.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "controller.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "controller.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "controller.leaseName" -}}
{{- default (include "controller.fullname" .) .Values.leaderElection.leaseName -}}
{{- end -}}

{{/*
"true" if a new pod may start beside the running pods of the release: with an election, and the same one. Pods with
different Leases, or with none, do not know of each other, and each would lead. The cluster shows what runs. Where Helm
only renders (helm template, and tools built on it), the values decide.
*/}}
{{- define "controller.oneElection" -}}
{{- $one := .Values.leaderElection.enabled -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "controller.fullname" .) -}}
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
{{ .Release.Namespace }}:{{ include "controller.fullname" . }}
{{- end -}}

{{/*
global.imageRegistry replaces the registry in image.repository, if there is one.
*/}}
{{- define "controller.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.global.imageRegistry -}}
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
