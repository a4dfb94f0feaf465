// Command cache answers as Redis does, in memory, on the address that is its only argument: what Argo CD keeps there is
// made anew when it is gone. Only for tests.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	clock := time.NewTicker(time.Second)
	for {
		select {
		case <-clock.C:
			server.FastForward(time.Second) // it does not look at a clock itself, so that nothing would expire
		case <-stop:
			server.Close()
			return
		}
	}
}
