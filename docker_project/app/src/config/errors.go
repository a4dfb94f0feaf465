package config

import "strings"

// Fault is one setting that cannot be used, and why.
type Fault struct {
	Key     string
	Problem string
}

// Error reports all faults of a configuration.
type Error struct {
	Faults []Fault
}

// Error returns one line.
func (e *Error) Error() string {
	faults := make([]string, len(e.Faults))
	for i, fault := range e.Faults {
		faults[i] = fault.Key + ": " + fault.Problem
	}
	return "invalid configuration: " + strings.Join(faults, "; ")
}
