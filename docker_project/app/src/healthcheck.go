package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"example.com/slipway/app/src/config"
)

const healthcheckTimeout = 2 * time.Second

// healthcheck asks the service in this container how it is: an image without a shell has no curl.
func healthcheck(ctx context.Context, getenv func(string) string) error {
	port, err := config.LoadPort(getenv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/health", port), nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil}} // never by way of HTTP_PROXY
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not healthy: %s", response.Status)
	}
	return nil
}
