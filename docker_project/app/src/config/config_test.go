package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/slipway/app/src/config"
)

// complete is the least that Load accepts.
var complete = map[string]string{
	"DB_HOST": "database", "DB_NAME": "app", "DB_USER": "app", "DB_PASSWORD": "correct horse",
}

func getenv(changes map[string]string) func(string) string {
	env := maps.Clone(complete)
	maps.Copy(env, changes)
	return func(key string) string { return env[key] }
}

func TestLoadFillsInDefaults(t *testing.T) {
	got, err := config.Load(getenv(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Port:            8000,
		LogLevel:        slog.LevelInfo,
		ShutdownTimeout: 10 * time.Second,
		Database: config.Database{
			Host: "database", Port: 5432, Name: "app", User: "app", Password: "correct horse", MaxConns: 4,
		},
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadReadsEveryVariable(t *testing.T) {
	got, err := config.Load(getenv(map[string]string{
		"PORT": "9090", "LOG_LEVEL": "WARN", "SHUTDOWN_TIMEOUT": "1m30s", "DB_PORT": "6432", "DB_MAX_CONNS": "25",
		"METRICS_PORT": "9464", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318/otlp",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=k%3D1, tenant = shop", "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
		"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_SCHEDULE_DELAY": "200",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Port != 9090 || got.LogLevel != slog.LevelWarn || got.ShutdownTimeout != 90*time.Second ||
		got.Database.Port != 6432 || got.Database.MaxConns != 25 || got.MetricsPort != 9464 {
		t.Errorf("got %+v", got)
	}
	want := &config.Traces{
		URL: "http://jaeger:4318/otlp/v1/traces", Headers: map[string]config.Secret{"api-key": "k=1", "tenant": "shop"},
		Timeout: 2500 * time.Millisecond,
		Batches: config.Batches{Queue: 100, Size: 512, Delay: 200 * time.Millisecond, Timeout: 30 * time.Second},
	}
	if !reflect.DeepEqual(got.Traces, want) {
		t.Errorf("got %+v", got.Traces)
	}
}

func TestLoadReportsAllFaultsAtOnce(t *testing.T) {
	_, err := config.Load(func(key string) string {
		return map[string]string{
			"PORT": "70000", "LOG_LEVEL": "loud", "SHUTDOWN_TIMEOUT": "soon", "DB_PORT": "0", "DB_MAX_CONNS": "1e3",
			"METRICS_PORT": "8000", "OTEL_EXPORTER_OTLP_ENDPOINT": "jaeger:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			"OTEL_TRACES_SAMPLER": "most", "OTEL_EXPORTER_OTLP_HEADERS": "api-key", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
		}[key]
	})
	var configError *config.Error
	if !errors.As(err, &configError) {
		t.Fatalf("got %v, want *config.Error", err)
	}
	want := []config.Fault{
		{Key: "PORT", Problem: `expected a number from 1 to 65535, got "70000"`},
		{Key: "LOG_LEVEL", Problem: `expected debug, info, warn or error, got "loud"`},
		{Key: "SHUTDOWN_TIMEOUT", Problem: `expected a duration such as 10s, at most 10m0s, got "soon"`},
		{Key: "DB_HOST", Problem: "is required"},
		{Key: "DB_PORT", Problem: `expected a number from 1 to 65535, got "0"`},
		{Key: "DB_NAME", Problem: "is required"},
		{Key: "DB_USER", Problem: "is required"},
		{Key: "DB_PASSWORD_FILE", Problem: "is required (or DB_PASSWORD)"},
		{Key: "DB_MAX_CONNS", Problem: `expected a number from 1 to 1000, got "1e3"`},
		{Key: "OTEL_EXPORTER_OTLP_ENDPOINT", Problem: `expected an address such as http://jaeger:4318, got "jaeger:4317"`},
		{Key: "OTEL_EXPORTER_OTLP_PROTOCOL", Problem: `expected http/protobuf, got "grpc"`},
		{Key: "OTEL_TRACES_SAMPLER", Problem: "expected always_on, always_off, traceidratio, parentbased_always_on, " +
			`parentbased_always_off, parentbased_traceidratio, got "most"`},
		{Key: "OTEL_EXPORTER_OTLP_HEADERS", Problem: "expected key=value, separated by commas"},
		{Key: "OTEL_EXPORTER_OTLP_TIMEOUT", Problem: `expected a number from 1 to 60000, got "10s"`},
		{Key: "METRICS_PORT", Problem: "is the port of the service, 8000: metrics need one of their own"},
	}
	if fmt.Sprint(configError.Faults) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", configError.Faults, want)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the message is not one line: %q", err)
	}
}

func TestLoadReadsThePasswordFromAFile(t *testing.T) {
	tests := map[string]struct{ content, want, fault string }{
		"as it is":            {content: "s3cret", want: "s3cret"},
		"line break":          {content: "s3cret\n", want: "s3cret"},
		"Windows line break":  {content: "s3cret\r\n", want: "s3cret"},
		"spaces belong to it": {content: " s3cret \n", want: " s3cret "},
		"empty":               {content: "\n", fault: "is empty"},
		"two lines":           {content: "s3cret\nmore\n", fault: "holds more than one line of text"},
		"too large":           {content: strings.Repeat("s", 64<<10+1), fault: "is larger than 65536 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := config.Load(getenv(map[string]string{"DB_PASSWORD": "", "DB_PASSWORD_FILE": path}))
			if test.fault == "" {
				if err != nil || got.Database.Password.Reveal() != test.want {
					t.Errorf("got %q, %v; want %q", got.Database.Password.Reveal(), err, test.want)
				}
				return
			}
			if err == nil || !strings.HasSuffix(err.Error(), test.fault) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want a fault that ends in %q and hides the password", err, test.fault)
			}
		})
	}
}

func TestLoadRefusesAPasswordFileItCannotUse(t *testing.T) {
	directory := t.TempDir()
	missing := filepath.Join(directory, "missing")
	tests := map[string]struct {
		env  map[string]string
		want string
	}{
		"missing": {
			env:  map[string]string{"DB_PASSWORD": "", "DB_PASSWORD_FILE": missing},
			want: "DB_PASSWORD_FILE: cannot read " + missing + ": no such file or directory",
		},
		"directory": {
			env:  map[string]string{"DB_PASSWORD": "", "DB_PASSWORD_FILE": directory},
			want: "DB_PASSWORD_FILE: " + directory + " is not a file",
		},
		"next to a password": {
			env:  map[string]string{"DB_PASSWORD_FILE": missing},
			want: "DB_PASSWORD: is set, and so is DB_PASSWORD_FILE: set only one of them",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(getenv(test.env))
			if err == nil || err.Error() != "invalid configuration: "+test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestTheShareOfTracesIsANumberFromZeroToOne(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "0": true, "0.1": true, "1": true, "1.5": false, "-0.1": false, "NaN": false, "10%": false,
	} {
		_, err := config.Load(getenv(map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
			"OTEL_TRACES_SAMPLER_ARG": text,
		}))
		if (err == nil) != good {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestThereAreNoTracesWithoutACollectorOrWhenDisabled(t *testing.T) {
	tests := map[string]map[string]string{
		"no collector": {"OTEL_TRACES_SAMPLER": "most"},
		"disabled":     {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_SDK_DISABLED": "true"},
	}
	for name, env := range tests {
		if got, err := config.Load(getenv(env)); err != nil || got.Traces != nil {
			t.Errorf("%s: got %v, %v", name, got.Traces, err)
		}
	}
}

func TestLoadPortNeedsNothingElse(t *testing.T) {
	port, err := config.LoadPort(func(string) string { return "" })
	if err != nil || port != 8000 {
		t.Errorf("got %d, %v; want 8000", port, err)
	}
	if _, err := config.LoadPort(func(string) string { return "http" }); err == nil {
		t.Error("PORT=http was accepted")
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	loaded, err := config.Load(getenv(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=correct horse",
	}))
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(loaded)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("start", "config", loaded, "password", loaded.Database.Password)
	shown := fmt.Sprintf("%v %+v %#v %s %q %s %s", loaded, loaded, loaded, loaded.Database.Password,
		loaded.Database.Password, document, log.String())
	if strings.Contains(shown, "correct horse") {
		t.Errorf("the password is visible: %s", shown)
	}
}
