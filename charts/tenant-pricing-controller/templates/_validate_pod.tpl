{{/*
The values of the pod that Kubernetes would refuse, and those with which no pod could start.
*/}}
{{- define "controller.validatePod" -}}
{{- $values := .Values -}}
{{- range $field, $name := dict "priorityClassName" $values.priorityClassName "runtimeClassName" $values.runtimeClassName "schedulerName" $values.schedulerName -}}
{{- with $name -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" $field "value" . "instead" "lower-case letters, digits, '-' and '.', with a letter or digit at both ends") -}}
{{- end -}}
{{- end -}}

{{- range $index, $constraint := $values.topologySpreadConstraints -}}
{{- range list "topologyKey" "labelSelector" "maxSkew" "whenUnsatisfiable" -}}
{{- if not (get $constraint .) -}}
{{- $examples := dict "topologyKey" "topologyKey: kubernetes.io/hostname" "labelSelector" (printf "labelSelector: {matchLabels: {app.kubernetes.io/instance: %s}}" $.Release.Name) "maxSkew" "maxSkew: 1" "whenUnsatisfiable" "whenUnsatisfiable: ScheduleAnyway" -}}
{{- fail (printf "topologySpreadConstraints[%d] has no %s, and would spread nothing: add %s" $index . (get $examples .)) -}}
{{- end -}}
{{- end -}}
{{- include "controller.validateSelector" (dict "field" (printf "topologySpreadConstraints[%d].labelSelector" $index) "selector" $constraint.labelSelector) -}}
{{- if not (include "controller.isLabelKey" $constraint.topologyKey) -}}
{{- fail (printf "topologySpreadConstraints[%d].topologyKey is %q, which is no label of a node: write one such as kubernetes.io/hostname" $index $constraint.topologyKey) -}}
{{- end -}}
{{- end -}}

{{- range $index, $toleration := $values.tolerations -}}
{{- $field := printf "tolerations[%d]" $index -}}
{{- if and (not $toleration.key) (ne "Exists" (default "" $toleration.operator)) -}}
{{- fail (printf "%s has no key: write one, or operator: Exists, which tolerates every taint" $field) -}}
{{- end -}}
{{- if and (eq "Exists" (default "" $toleration.operator)) $toleration.value -}}
{{- fail (printf "%s.value is %q, and operator: Exists compares with no value: take one of them out" $field $toleration.value) -}}
{{- end -}}
{{- if and (hasKey $toleration "tolerationSeconds") (ne "NoExecute" (default "" $toleration.effect)) -}}
{{- fail (printf "%s.tolerationSeconds counts only with effect: NoExecute: add it, or take tolerationSeconds out" $field) -}}
{{- end -}}
{{- end -}}

{{- include "controller.validateResources" . -}}
{{- include "controller.validateAffinity" . -}}

{{- range $index, $alias := $values.hostAliases -}}
{{- include "controller.refuseUnless" (dict "is" "Address" "field" (printf "hostAliases[%d].ip" $index) "value" $alias.ip "instead" "write an IP address") -}}
{{- range $alias.hostnames -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" (printf "hostAliases[%d].hostnames" $index) "value" . "instead" "it is no name of a host: lower-case letters, digits, '-' and '.'") -}}
{{- end -}}
{{- end -}}
{{- range $index, $server := $values.dnsConfig.nameservers -}}
{{- include "controller.refuseUnless" (dict "is" "Address" "field" (printf "dnsConfig.nameservers[%d]" $index) "value" $server "instead" "write an IP address") -}}
{{- end -}}
{{- range $index, $domain := $values.dnsConfig.searches -}}
{{- if ne "." $domain -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" (printf "dnsConfig.searches[%d]" $index) "value" (trimSuffix "." $domain | replace "_" "x") "instead" "write a domain, such as svc.cluster.local") -}}
{{- end -}}
{{- end -}}
{{- if and (eq "None" $values.dnsPolicy) (not $values.dnsConfig.nameservers) -}}
{{- fail "dnsPolicy is None, and dnsConfig.nameservers is empty: the pod would find no host at all. Name a name server, or leave dnsPolicy out" -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateAffinity" -}}
{{- range $kind, $affinity := pick .Values.affinity "podAffinity" "podAntiAffinity" -}}
{{- $terms := $affinity.requiredDuringSchedulingIgnoredDuringExecution | default list -}}
{{- range $affinity.preferredDuringSchedulingIgnoredDuringExecution -}}
{{- $terms = append $terms (.podAffinityTerm | default dict) -}}
{{- end -}}
{{- range $terms -}}
{{- $field := printf "affinity.%s" $kind -}}
{{- include "controller.refuseUnless" (dict "is" "LabelKey" "field" (printf "%s.topologyKey" $field) "value" .topologyKey "instead" "it is no label of a node, such as kubernetes.io/hostname") -}}
{{- range $name, $selector := pick . "labelSelector" "namespaceSelector" -}}
{{- include "controller.validateSelector" (dict "field" (printf "%s.%s" $field $name) "selector" $selector) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateResources" -}}
{{- $requests := .Values.resources.requests | default dict -}}
{{- $limits := .Values.resources.limits | default dict -}}
{{- range $kind, $quantities := dict "requests" $requests "limits" $limits -}}
{{- range $name, $quantity := $quantities -}}
{{- $field := printf "resources.%s.%s" $kind $name -}}
{{- if not (or (has $name (list "cpu" "memory" "ephemeral-storage")) (hasPrefix "hugepages-" $name) (and (contains "/" $name) (include "controller.isLabelKey" $name))) -}}
{{- fail (printf "%s: Kubernetes knows no resource %q. Write cpu, memory, ephemeral-storage, or one with a domain, such as example.com/device" $field $name) -}}
{{- end -}}
{{- include "controller.refuseUnless" (dict "is" "Quantity" "field" $field "value" $quantity "instead" "write a number, such as 0.5, or one with a unit, such as 100m or 64Mi") -}}
{{- end -}}
{{- end -}}
{{- with $limits.memory -}}
{{- if lt (include "controller.number" (toString .) | float64) 12582912.0 -}}
{{- fail (printf "resources.limits.memory is %v, with which no pod starts: it counts bytes, and m is a thousandth. Write 64Mi or more" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $limit := $limits -}}
{{- $request := get $requests $name | toString -}}
{{- if and (hasKey $requests $name) (gt (include "controller.number" $request | float64) (include "controller.number" (toString $limit) | float64)) -}}
{{- fail (printf "resources.requests.%s is %s and resources.limits.%s is %v: a request is at most the limit. Raise the limit, or lower the request" $name $request $name $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The values by which a user adds to the pod. None of them may change a setting, hide the program or its token, or break
the Pod Security Standard `restricted`.
*/}}
{{- define "controller.validateExtras" -}}
{{- include "controller.validateEnvironment" . -}}
{{- include "controller.validateVolumes" . -}}
{{- end -}}

{{- define "controller.validateEnvironment" -}}
{{- $values := .Values -}}
{{- $settings := include "controller.settings" . | fromYaml -}}
{{- $seen := dict -}}
{{- range $index, $variable := $values.extraEnv -}}
{{- if not $variable.name -}}
{{- fail (printf "extraEnv[%d] has no name: write {name: NAME, value: VALUE}" $index) -}}
{{- end -}}
{{- if hasPrefix "TENANT_PRICING_" $variable.name -}}
{{- $instead := get $settings (trimPrefix "TENANT_PRICING_" $variable.name) | default "no value sets it: take it out" -}}
{{- fail (printf "extraEnv[%d] is %s, which is a setting of the controller: %s" $index $variable.name $instead) -}}
{{- end -}}
{{- if not (regexMatch `^[!-<>-~]+$` $variable.name) -}}
{{- fail (printf "extraEnv[%d].name is %q, which is no name of a variable: letters, digits and '_'" $index $variable.name) -}}
{{- end -}}
{{- if hasKey $seen $variable.name -}}
{{- fail (printf "extraEnv[%d] is %s, as is extraEnv[%v], and only one of them would count: take one of them out" $index $variable.name (get $seen $variable.name)) -}}
{{- end -}}
{{- $_ := set $seen $variable.name $index -}}
{{- if and $variable.value $variable.valueFrom -}}
{{- fail (printf "extraEnv[%d] (%s) has value and valueFrom, which exclude each other: take one of them out" $index $variable.name) -}}
{{- end -}}
{{- with $variable.valueFrom -}}
{{- range list "configMapKeyRef" "secretKeyRef" -}}
{{- with get $variable.valueFrom . -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" (printf "extraEnv[%d].valueFrom" $index) "value" .name "instead" "it is no name of a ConfigMap or a Secret") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $index, $source := $values.extraEnvFrom -}}
{{- if hasPrefix "TENANT_PRICING_" (default "" $source.prefix) -}}
{{- fail (printf "extraEnvFrom[%d].prefix is %q: variables that begin so are settings of the controller, which only values of the chart set. Choose another prefix" $index $source.prefix) -}}
{{- end -}}
{{- if eq (empty $source.configMapRef) (empty $source.secretRef) -}}
{{- fail (printf "extraEnvFrom[%d] needs one of configMapRef and secretRef: write {configMapRef: {name: NAME}} or {secretRef: {name: NAME}}" $index) -}}
{{- end -}}
{{- include "controller.refuseUnless" (dict "is" "Subdomain" "field" (printf "extraEnvFrom[%d]" $index) "value" (coalesce $source.configMapRef $source.secretRef).name "instead" "it is no name of a ConfigMap or a Secret") -}}
{{- end -}}
{{- end -}}

{{- define "controller.validateVolumes" -}}
{{- $values := .Values -}}
{{- $types := list "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "persistentVolumeClaim" "projected" "secret" -}}
{{- $needed := dict "configMap" "name" "csi" "driver" "ephemeral" "volumeClaimTemplate" "persistentVolumeClaim" "claimName" "projected" "sources" "secret" "secretName" -}}
{{- $names := list -}}
{{- range $index, $volume := $values.extraVolumes -}}
{{- if not (regexMatch `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` (default "" $volume.name)) -}}
{{- fail (printf "extraVolumes[%d].name is %q, which is no name of a volume: lower-case letters, digits and '-', 63 at most" $index (default "" $volume.name)) -}}
{{- end -}}
{{- if has $volume.name $names -}}
{{- fail (printf "extraVolumes[%d].name is %q, which another volume has: choose another name" $index $volume.name) -}}
{{- end -}}
{{- $names = append $names $volume.name -}}
{{- range $type, $source := omit $volume "name" -}}
{{- if not (has $type $types) -}}
{{- fail (printf "extraVolumes[%d] is of the type %s, which the Pod Security Standard `restricted` does not admit: use one of %s" $index $type (join ", " $types)) -}}
{{- end -}}
{{- with get $needed $type -}}
{{- if not (and (kindIs "map" $source) (get (kindIs "map" $source | ternary $source dict) .)) -}}
{{- fail (printf "extraVolumes[%d].%s has no %s: add it" $index $type .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne (len $volume) 2 -}}
{{- fail (printf "extraVolumes[%d] (%s) needs exactly one type: one of %s, for example {name: %s, emptyDir: {}}" $index $volume.name (join ", " $types) $volume.name) -}}
{{- end -}}
{{- end -}}

{{- $kept := dict "/var/run/secrets/kubernetes.io/serviceaccount" "the token by which the controller speaks to the API server" "/usr/local/bin/tenant-pricing-controller" "the program" -}}
{{- $paths := list -}}
{{- range $index, $mount := $values.extraVolumeMounts -}}
{{- $written := default "" $mount.mountPath -}}
{{- $path := clean (printf "/%s" $written) -}}
{{- $path = regexReplaceAll `^/run(/|$)` $path "/var/run$1" -}}
{{- range $folder, $what := $kept -}}
{{- if or (eq $path "/") (eq $path $folder) (hasPrefix (printf "%s/" $path) $folder) (hasPrefix (printf "%s/" $folder) $path) -}}
{{- fail (printf "extraVolumeMounts[%d].mountPath is %q, which would hide %s (%s): mount it elsewhere" $index $written $folder $what) -}}
{{- end -}}
{{- end -}}
{{- if contains ":" $written -}}
{{- fail (printf "extraVolumeMounts[%d].mountPath is %q, and Kubernetes refuses ':' in a path: choose another one" $index $written) -}}
{{- end -}}
{{- if has $path $paths -}}
{{- fail (printf "extraVolumeMounts[%d].mountPath is %q, where another volume is mounted: choose another path" $index $written) -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- if not (has $mount.name $names) -}}
{{- fail (printf "extraVolumeMounts[%d].name is %q, and extraVolumes has no volume of this name: add it, or correct the name" $index (default "" $mount.name)) -}}
{{- end -}}
{{- if and $mount.subPath $mount.subPathExpr -}}
{{- fail (printf "extraVolumeMounts[%d] has subPath and subPathExpr, which exclude each other: take one of them out" $index) -}}
{{- end -}}
{{- range list $mount.subPath $mount.subPathExpr -}}
{{- if or (hasPrefix "/" (default "" .)) (has ".." (splitList "/" (default "" .))) -}}
{{- fail (printf "extraVolumeMounts[%d] has the subPath %q, which must be a path below the volume: without '/' at the beginning and without '..'" $index .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Manifests of the user's, each with what Helm and the API server ask for. (dict "text" YAML "field" PATH)
*/}}
{{- define "controller.validateManifests" -}}
{{- $field := .field -}}
{{- range regexSplit `(?m)^---.*$` .text -1 -}}
{{- $manifest := fromYaml . -}}
{{- if hasKey $manifest "Error" -}}
{{- fail (printf "%s is no manifest: write the YAML of an object" $field) -}}
{{- end -}}
{{- if $manifest -}}
{{- range list "apiVersion" "kind" -}}
{{- if not (get $manifest .) -}}
{{- fail (printf "%s has no %s: add it" $field .) -}}
{{- end -}}
{{- end -}}
{{- if and (not (hasSuffix "List" $manifest.kind)) (not (dig "metadata" "name" "" $manifest)) -}}
{{- fail (printf "%s has no metadata.name: add it" $field) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
