package main

import (
	"flag"
	"fmt"
	"os"
	"sync"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	router "github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// policies enforces NetworkPolicies on this node, with iptables and ipset.
func policies() int {
	options := flag.NewFlagSet("policies", flag.ExitOnError) // libraries of the other parts have global flags
	kubeconfig := options.String("kubeconfig", "", "how to reach the API server")
	node := options.String("node", "", "the name of this node")
	services := options.String("services", "", "the addresses of Services, as CIDR")
	if err := options.Parse(os.Args[1:]); err != nil {
		return 2
	}
	if err := enforce(*kubeconfig, *node, *services); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func enforce(kubeconfig, node, services string) error {
	access, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	rules := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	settings := router.NewKubeRouterConfig()
	settings.RunFirewall, settings.EnableIPv4 = true, true
	settings.HostnameOverride = node
	settings.ClusterIPCIDRs = []string{services}
	iptables, ipsets, err := netpol.NewIPTablesHandlers(settings)
	if err != nil {
		return err
	}
	controller, err := netpol.NewNetworkPolicyController(
		client, settings, pods, rules, namespaces, &sync.Mutex{}, iptables, ipsets)
	if err != nil {
		return err
	}
	if _, err := pods.AddEventHandler(controller.PodEventHandler); err != nil {
		return err
	}
	if _, err := namespaces.AddEventHandler(controller.NamespaceEventHandler); err != nil {
		return err
	}
	if _, err := rules.AddEventHandler(controller.NetworkPolicyEventHandler); err != nil {
		return err
	}

	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats { // nobody asks for the health of the controller
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	go controller.Run(beats, stop, &running)
	running.Wait()
	return nil
}
