package config

import "log/slog"

const masked = "***"

// Secret is a value that no log line, error or JSON document shows. Reveal is the only way to read it.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string { return masked }

// GoString implements fmt.GoStringer, so that %#v is masked too.
func (s Secret) GoString() string { return masked }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
