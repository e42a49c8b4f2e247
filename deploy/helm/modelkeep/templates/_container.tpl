{{/* What both containers of a node share. */}}
{{- define "modelkeep.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: data, mountPath: /data }
  - { name: secrets, mountPath: /run/secrets, readOnly: true }
  - { name: tmp, mountPath: /tmp }
env:
  - { name: SITE_URL, value: "https://{{ .Values.host }}" }
  - { name: FORWARDED_ALLOW_IPS, value: {{ .Values.trustedProxies | quote }} }
  - { name: LOG_FORMAT, value: json }
  - { name: DATABASE_URL_FILE, value: /run/secrets/database_url }
  - { name: SECRET_KEY_FILE, value: /run/secrets/secret_key }
  - { name: MODELKEEP_MASTER_KEYS_FILE, value: /run/secrets/master_keys }
{{- range $name, $value := .Values.settings }}
  - { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}
