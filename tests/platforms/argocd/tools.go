//go:build tools

// Package argocd pins the modules that Argo CD of the tests is built from.
package argocd

import _ "github.com/argoproj/argo-cd/v3/cmd"
