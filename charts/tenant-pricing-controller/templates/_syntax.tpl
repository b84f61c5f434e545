{{/*
How texts must be written, as Kubernetes and the registries of images ask for it. A definition prints "true", or nothing.
*/}}
{{- define "controller.isAddress" -}}
{{- or (regexMatch (printf "^%s$" (include "controller.ipv4" .)) .) (eq "true" (include "controller.isIPv6" .)) | ternary "true" "" -}}
{{- end -}}

{{- define "controller.ipv4" -}}
((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])
{{- end -}}

{{/*
Eight groups, or fewer where `::` stands for the others. The last two may be an IPv4 address.
*/}}
{{- define "controller.isIPv6" -}}
{{- $text := regexReplaceAll (printf `:%s$` (include "controller.ipv4" .)) . ":0:0" -}}
{{- $count := len (regexFindAll `[0-9A-Fa-f]+` $text -1) -}}
{{- if regexMatch `^([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$` $text -}}
true
{{- else if and (regexMatch `^([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?$` $text) (lt $count 8) -}}
true
{{- end -}}
{{- end -}}

{{- define "controller.isCIDR" -}}
{{- $parts := splitList "/" . -}}
{{- if eq (len $parts) 2 -}}
{{- $address := first $parts -}}
{{- $bits := last $parts -}}
{{- if and (include "controller.isAddress" $address) (regexMatch `^(0|[1-9][0-9]{0,2})$` $bits) -}}
{{- le (int $bits) (contains ":" $address | ternary 128 32) | ternary "true" "" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
A host of a URL, without its port.
*/}}
{{- define "controller.isHost" -}}
{{- if hasPrefix "[" . -}}
{{- and (hasSuffix "]" .) (eq "true" (include "controller.isIPv6" (trimAll "[]" .))) | ternary "true" "" -}}
{{- else if regexMatch `(^|\.)[0-9]+$` . -}}
{{- include "controller.isAddress" . -}}
{{- else -}}
{{- regexMatch `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$` . | ternary "true" "" -}}
{{- end -}}
{{- end -}}

{{/*
The port at the end of a text is one, or there is none.
*/}}
{{- define "controller.isPort" -}}
{{- with regexFind `:[0-9]+$` . | trimPrefix ":" -}}
{{- and (regexMatch `^[1-9][0-9]{0,4}$` .) (le (int .) 65535) | ternary "true" "" -}}
{{- else -}}
true
{{- end -}}
{{- end -}}

{{- define "controller.isSubdomain" -}}
{{- and (le (len .) 253) (regexMatch `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$` .) | ternary "true" "" -}}
{{- end -}}

{{/*
The key of a label: a name, and before it perhaps a domain and '/'.
*/}}
{{- define "controller.isLabelKey" -}}
{{- $parts := splitList "/" . -}}
{{- $isName := regexMatch `^([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$` (last $parts) -}}
{{- if eq (len $parts) 1 -}}
{{- $isName | ternary "true" "" -}}
{{- else if eq (len $parts) 2 -}}
{{- and $isName (eq "true" (include "controller.isSubdomain" (first $parts))) | ternary "true" "" -}}
{{- end -}}
{{- end -}}

{{- define "controller.isLabelValue" -}}
{{- regexMatch `^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$` . | ternary "true" "" -}}
{{- end -}}

{{- define "controller.isSelector" -}}
{{- $key := `([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?` -}}
{{- $value := `([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?` -}}
{{- $set := printf `\s+(in|notin)\s*\(\s*%s(\s*,\s*%s)*\s*\)` $value $value -}}
{{- $part := printf `\s*(!\s*%s|%s(\s*(=|==|!=)\s*%s|\s*[<>]\s*-?[0-9]+|%s)?)\s*` $key $key $value $set -}}
{{- regexMatch (printf "^%s(,%s)*$" $part $part) . | ternary "true" "" -}}
{{- end -}}

{{/*
A duration of Prometheus: the larger unit first.
*/}}
{{- define "controller.isDuration" -}}
{{- and (regexMatch `^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$` .) (ne "" .) | ternary "true" "" -}}
{{- end -}}

{{/*
The milliseconds of a duration of Prometheus.
*/}}
{{- define "controller.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll `[0-9]+[a-z]+` . -1 -}}
{{- $sum = add $sum (mul (regexFind `[0-9]+` . | int64) (get $units (regexFind `[a-z]+` .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{- define "controller.isQuantity" -}}
{{- regexMatch `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?$` . | ternary "true" "" -}}
{{- end -}}

{{/*
The number that a quantity stands for.
*/}}
{{- define "controller.number" -}}
{{- $factors := dict "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $unit := regexFind `([numkMGTPE]|[KMGTPE]i)$` . -}}
{{- mulf (trimSuffix $unit . | trimPrefix "+" | float64) (get $factors $unit | default 1.0) -}}
{{- end -}}

{{/*
A registry, and perhaps a path in it.
*/}}
{{- define "controller.isRegistry" -}}
{{- $parts := splitList "/" (trimSuffix "/" .) -}}
{{- $host := regexReplaceAll `:[0-9]+$` (first $parts) "" -}}
{{- and (eq "true" (include "controller.isHost" $host)) (eq "true" (include "controller.isPort" (first $parts))) (or (eq (len $parts) 1) (eq "true" (include "controller.isRepository" (rest $parts | join "/")))) | ternary "true" "" -}}
{{- end -}}

{{/*
The repository of an image in its registry.
*/}}
{{- define "controller.isRepository" -}}
{{- $part := `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` -}}
{{- and (regexMatch (printf "^%s(/%s)*$" $part $part) .) (le (len .) 255) | ternary "true" "" -}}
{{- end -}}
