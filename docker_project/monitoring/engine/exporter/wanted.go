package exporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Wanted is what the Compose model of a project wants: the file targets.json that `inv monitor.up` writes.
type Wanted struct {
	Project  string             `json:"project"`
	Services map[string]Service `json:"services"`
}

// Service is a service of the project: how many containers it should have, and where its metrics are.
type Service struct {
	Replicas int `json:"replicas"`
	// Port is 0 for a service without metrics.
	Port int    `json:"port"`
	Path string `json:"path"`
	// Network is the one by which it is scraped; "" is any.
	Network string `json:"network"`
}

// ReadWanted reads the file and says what is wrong with it.
func ReadWanted(file string) (Wanted, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Wanted{}, err
	}
	var wanted Wanted
	if err := json.Unmarshal(data, &wanted); err != nil {
		return Wanted{}, fmt.Errorf("%s: %w", file, err)
	}
	return wanted, wanted.check(file)
}

func (w Wanted) check(file string) error {
	if w.Project == "" {
		return errors.New(file + ": project is empty")
	}
	for name, service := range w.Services {
		switch {
		case service.Port < 0 || service.Port > 65535:
			return fmt.Errorf("%s: services.%s.port: %d is no port", file, name, service.Port)
		case service.Replicas < 0:
			return fmt.Errorf("%s: services.%s.replicas: %d is below 0", file, name, service.Replicas)
		case service.Path != "" && !strings.HasPrefix(service.Path, "/"):
			return fmt.Errorf("%s: services.%s.path: %q does not begin with a slash", file, name, service.Path)
		}
	}
	return nil
}
