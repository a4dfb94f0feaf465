package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxSecretBytes keeps a wrong path, such as a device, from filling the memory.
const maxSecretBytes = 64 << 10

// reader reads one variable after the other and collects what is wrong with them.
type reader struct {
	getenv func(string) string
	faults []Fault
}

func (r *reader) fault(key, format string, args ...any) {
	r.faults = append(r.faults, Fault{Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (r *reader) required(key string) string {
	value := r.getenv(key)
	if value == "" {
		r.fault(key, "is required")
	}
	return value
}

// integer reads a number from 1 to highest.
func (r *reader) integer(key string, fallback, highest int) int {
	text := r.getenv(key)
	if text == "" {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 || value > highest {
		r.fault(key, "expected a number from 1 to %d, got %q", highest, text)
		return fallback
	}
	return value
}

func (r *reader) duration(key string, fallback, highest time.Duration) time.Duration {
	text := r.getenv(key)
	if text == "" {
		return fallback
	}
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 || value > highest {
		r.fault(key, "expected a duration such as 10s, at most %s, got %q", highest, text)
		return fallback
	}
	return value
}

func (r *reader) level(key string) slog.Level {
	text := r.getenv(key)
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug
	case "", "info":
		return slog.LevelInfo
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	r.fault(key, "expected debug, info, warn or error, got %q", text)
	return slog.LevelInfo
}

// secret reads key, or the file that key_FILE names, where Compose and Kubernetes mount secrets.
func (r *reader) secret(key string) Secret {
	fileKey := key + "_FILE"
	value, path := r.getenv(key), r.getenv(fileKey)
	switch {
	case value != "" && path != "":
		r.fault(key, "is set, and so is %s: set only one of them", fileKey)
	case value != "":
		return Secret(value)
	case path == "":
		r.fault(fileKey, "is required (or %s)", key)
	default:
		return r.secretFile(fileKey, path)
	}
	return ""
}

// secretFile reads a secret without the line break that editors and echo put at the end.
func (r *reader) secretFile(key, path string) Secret {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		r.fault(key, "%s is not a file", path)
		return ""
	}
	if err == nil && info.Size() > maxSecretBytes {
		r.fault(key, "%s is larger than %d bytes", path, maxSecretBytes)
		return ""
	}
	// #nosec G304 G703 -- whoever sets the environment chooses the path.
	content, err := os.ReadFile(path)
	if err != nil {
		r.fault(key, "cannot read %s: %s", path, reason(err))
		return ""
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case value == "":
		r.fault(key, "%s is empty", path)
	case strings.ContainsAny(value, "\x00\n"):
		r.fault(key, "%s holds more than one line of text", path)
	}
	return Secret(value)
}

// reason returns what went wrong without the path, which the caller names.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
