// Command engine-proxy tells container-exporter about the containers of the Compose projects in PROJECTS (separated by
// commas), from the engine's socket. It refuses everything else.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"example.com/slipway/monitoring/proxy"
	"example.com/slipway/monitoring/serving"
)

const (
	address = ":2375"
	socket  = "/var/run/docker.sock"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("PROJECTS")); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names string) error {
	projects := map[string]bool{}
	for _, name := range strings.Split(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			projects[name] = true
		}
	}
	if len(projects) == 0 {
		return errors.New("PROJECTS names no Compose project")
	}
	engine, history := proxy.NewEngine(socket), proxy.NewHistory()
	go history.Follow(ctx, engine, projects)
	return serving.Run(ctx, address, proxy.New(engine, history, projects))
}
