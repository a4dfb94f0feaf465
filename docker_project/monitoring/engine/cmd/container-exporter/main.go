// Command container-exporter serves metrics of the containers of a Compose project (/metrics), and where the metrics of
// its services are (/targets, for Prometheus). It asks engine-proxy at ENGINE_PROXY.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/slipway/monitoring/exporter"
	"example.com/slipway/monitoring/serving"
)

const (
	address = ":9101"
	file    = "/etc/container-exporter/targets.json"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("ENGINE_PROXY")); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, proxy string) error {
	if proxy == "" {
		return errors.New("ENGINE_PROXY is not set")
	}
	wanted, err := exporter.ReadWanted(file)
	if err != nil {
		return err
	}
	client := exporter.NewClient(proxy, &http.Client{Timeout: 10 * time.Second})
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		exporter.NewCollector(wanted, client),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	mux.Handle("GET /targets", exporter.TargetsHandler(wanted, client))
	mux.HandleFunc("GET /healthy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return serving.Run(ctx, address, mux)
}
