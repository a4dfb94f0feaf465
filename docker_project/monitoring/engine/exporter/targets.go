package exporter

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"

	"example.com/slipway/monitoring/containers"
)

// Target is what Prometheus scrapes: https://prometheus.io/docs/prometheus/latest/http_sd/
type Target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// Targets returns a target for each running container of a service that has metrics.
func Targets(wanted Wanted, all []containers.Container) []Target {
	targets := []Target{}
	for _, container := range all {
		name := container.Labels[containers.ServiceLabel]
		service := wanted.Services[name]
		if service.Port == 0 || container.Labels[containers.ProjectLabel] != wanted.Project {
			continue
		}
		if container.State != "running" || container.OneOff() {
			continue
		}
		address := addressOf(container, service.Network)
		if address == "" {
			slog.Warn("not scraped: no address", "container", container.Name(), "network", service.Network)
			continue
		}
		path := service.Path
		if path == "" {
			path = "/metrics"
		}
		targets = append(targets, Target{
			Targets: []string{net.JoinHostPort(address, strconv.Itoa(service.Port))},
			Labels: map[string]string{
				"job":              name,
				"service":          name,
				"container":        container.Name(),
				"project":          wanted.Project,
				"version":          container.Labels[containers.VersionLabel],
				"__metrics_path__": path,
			},
		})
	}
	return targets
}

// addressOf returns the address of a container in a network, in any (the first by name) for "", "" without one.
func addressOf(container containers.Container, network string) string {
	if network != "" {
		return container.NetworkSettings.Networks[network].IPAddress
	}
	names := []string{}
	for name, at := range container.NetworkSettings.Networks {
		if at.IPAddress != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return container.NetworkSettings.Networks[slices.Min(names)].IPAddress
}

// TargetsHandler answers with the targets. Where the engine cannot be asked it answers 502, and Prometheus keeps those
// that it has.
func TargetsHandler(wanted Wanted, client *Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all, err := client.Containers(r.Context())
		if err != nil {
			slog.ErrorContext(r.Context(), "engine-proxy was asked in vain", "error", err)
			http.Error(w, "engine-proxy gives no answer", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(Targets(wanted, all)); err != nil {
			slog.WarnContext(r.Context(), "the client has gone", "error", err)
		}
	}
}
