// Command pause keeps the namespaces of a Pod until the Pod is stopped.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Where the containers of a Pod share processes, orphans become ours: ignored, the kernel reaps them.
	signal.Ignore(syscall.SIGCHLD)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM)
	<-asked
}
