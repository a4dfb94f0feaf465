// Package proxy answers three questions about the containers of some Compose projects, and nothing else, from an engine
// whose socket would give control over the host.
package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/slipway/monitoring/containers"
)

const (
	parallel    = 8        // requests to the engine at a time
	largestBody = 16 << 20 // bytes of an answer of the engine
	timeout     = 10 * time.Second
)

// errGone says that a container does not exist (any more), or is not of the projects.
var errGone = errors.New("no such container")

// Engine asks the engine; only with GET, and only on the paths below.
type Engine struct {
	client *http.Client
	slots  chan struct{}
}

// NewEngine returns the engine that listens on a socket.
func NewEngine(socket string) *Engine {
	dialer := &net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConns:        parallel,
		MaxIdleConnsPerHost: parallel,
		IdleConnTimeout:     90 * time.Second,
	}
	return &Engine{client: &http.Client{Transport: transport}, slots: make(chan struct{}, parallel)}
}

// get reads an answer of the engine into value.
func (e *Engine) get(ctx context.Context, path string, query url.Values, value any) error {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := e.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(io.LimitReader(body, largestBody)).Decode(value); err != nil {
		return fmt.Errorf("the engine's answer to %s: %w", path, err)
	}
	return nil
}

// open asks the engine and returns the body of its answer.
func (e *Engine) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	address := url.URL{Scheme: "http", Host: "engine", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := e.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the engine does not answer %s: %w", path, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return nil, errGone
	}
	return nil, fmt.Errorf("the engine answers %s with status %d", path, answer.StatusCode)
}

// listed is a container in the engine's list: only the fields that are passed on.
type listed struct {
	ID              string `json:"Id"`
	Names           []string
	Image           string
	ImageID         string
	Created         int64
	State           string
	Status          string
	Labels          map[string]string
	NetworkSettings containers.NetworkSettings
}

// inspected is what else is passed on of a container.
type inspected struct {
	RestartCount int
	State        struct {
		OOMKilled  bool
		ExitCode   int
		StartedAt  string
		FinishedAt string
		Health     *struct{ Status string }
	}
	HostConfig struct{ Memory int64 }
	Config     struct{ Labels map[string]string }
}

// never is how the engine writes that something has not happened yet.
const never = "0001-01-01T00:00:00Z"

// show returns what the proxy tells of a container.
func show(from listed, detail inspected) containers.Container {
	shown := containers.Container{
		ID: from.ID, Names: from.Names, Image: from.Image, ImageID: from.ImageID, Created: from.Created,
		State: from.State, Status: from.Status, Labels: shownLabels(from.Labels),
		NetworkSettings: from.NetworkSettings,
		RestartCount:    detail.RestartCount,
		OOMKilled:       detail.State.OOMKilled,
		ExitCode:        detail.State.ExitCode,
		StartedAt:       detail.State.StartedAt,
		MemoryLimit:     detail.HostConfig.Memory,
	}
	if detail.State.Health != nil && detail.State.Health.Status != "none" {
		shown.Health = detail.State.Health.Status
	}
	if detail.State.FinishedAt != never && from.State != "running" {
		code := detail.State.ExitCode
		shown.LastExitCode = &code
	}
	return shown
}

// shownLabels returns the labels of Compose and of the image; others may hold anything.
func shownLabels(labels map[string]string) map[string]string {
	shown := make(map[string]string, len(labels))
	for name, value := range labels {
		if strings.HasPrefix(name, "com.docker.compose.") || strings.HasPrefix(name, "org.opencontainers.image.") {
			shown[name] = value
		}
	}
	return shown
}

// Info is what the proxy tells of the engine.
type Info struct {
	Name            string
	ServerVersion   string
	OperatingSystem string
	KernelVersion   string
	Architecture    string
	CgroupVersion   string
	NCPU            int
	MemTotal        int64
}
