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
"true" if a new pod may start beside those of the release that run now: with an election, and the same one. Pods that
stand for another Lease, or for none, know nothing of each other, and each would act. What runs is asked of the cluster;
where Helm only renders (helm template, and what is built on it) it cannot be, and the answer is what the values say.
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

{{- define "controller.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
What the controller may do, in the whole cluster or in one namespace. The last rule works in a Role too: a
request for a namespace is one in that namespace. (A request for all of them is not.)
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
# The labels that allowedNamespaces.selector asks for.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}
