// Package exporter turns what engine-proxy tells about the containers of a Compose project into metrics, and into the
// targets that Prometheus scrapes.
package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"example.com/slipway/monitoring/containers"
)

const largestAnswer = 16 << 20 // bytes

// errGone says that a container has gone since it was listed.
var errGone = errors.New("no such container")

// Client asks engine-proxy.
type Client struct {
	http *http.Client
	url  string
}

// NewClient returns a client of the proxy at a URL.
func NewClient(url string, client *http.Client) *Client { return &Client{http: client, url: url} }

// Containers returns the containers of the projects, also those that do not run.
func (c *Client) Containers(ctx context.Context) ([]containers.Container, error) {
	var all []containers.Container
	err := c.get(ctx, "/containers/json", &all)
	return all, err
}

// Stats returns what a container has used; errGone when it does not exist any more.
func (c *Client) Stats(ctx context.Context, id string) (containers.Stats, error) {
	var stats containers.Stats
	err := c.get(ctx, "/containers/"+id+"/stats", &stats)
	return stats, err
}

func (c *Client) get(ctx context.Context, path string, value any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(io.LimitReader(answer.Body, largestAnswer)).Decode(value)
	case http.StatusNotFound:
		return errGone
	default:
		return fmt.Errorf("%s: status %d", path, answer.StatusCode)
	}
}
