// Package traffic says what the demo's shop is and what it is asked: clusters,
// services, routes, requests a second and how many of them fail. The shop
// generates this load, the history looks back on it. It sends nothing itself.
package traffic

import (
	"fmt"
	"hash/fnv"
	"time"
)

// The services of the shop.
const (
	UserCenter     = "user-center"
	OrderService   = "order-service"
	PaymentService = "payment-service"
)

// Namespace is where the shop runs in each cluster.
const Namespace = "prod"

// Apps returns the services, in the order in which they depend on each other.
func Apps() []string { return []string{UserCenter, OrderService, PaymentService} }

// Route is one thing that a service is asked for.
type Route struct {
	App, Method, Path string

	Direct float64 // requests a second from outside
	Inner  float64 // requests a second from other services of the shop
	Errors float64 // share that fails on an ordinary day, 0 to 1
	Status int     // of an answer that is right
}

// PerSecond is how many requests the route gets a second.
func (r Route) PerSecond() float64 { return r.Direct + r.Inner }

// ErrorStatus is the status of an answer that is wrong on an ordinary day.
const ErrorStatus = 500

// Cluster is one cluster's share of the traffic.
type Cluster struct {
	Name   string
	Routes []Route
}

// PerSecond is how many requests a service of the cluster gets a second.
func (c Cluster) PerSecond(app string) float64 {
	var sum float64
	for _, r := range c.Routes {
		if r.App == app {
			sum += r.PerSecond()
		}
	}
	return sum
}

// Seed makes each cluster's chances its own, and the same in every run.
func (c Cluster) Seed() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.Name)) // never fails, by its contract
	return h.Sum64()
}

// Pod names the one pod of a service, as Kubernetes would.
func (c Cluster) Pod(app string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.Name + "/" + app))
	sum := h.Sum32()
	return fmt.Sprintf("%s-%08x-%05x", app, sum, sum%0xfffff)
}

// Node names the machine under a service's pod.
func (c Cluster) Node(app string) string {
	for i, a := range Apps() {
		if a == app {
			return fmt.Sprintf("%s-node-%02d", c.Name, i+1)
		}
	}
	return ""
}

// Clusters returns the three clusters, the largest first.
func Clusters() []Cluster {
	return []Cluster{
		{Name: "hangzhou", Routes: routes(1)},
		{Name: "beijing", Routes: routes(0.7)},
		{Name: "tencent", Routes: routes(0.25)},
	}
}

// Find returns a cluster by its name, and its place among Clusters, from 0.
func Find(name string) (n int, c Cluster, err error) {
	for n, c := range Clusters() {
		if c.Name == name {
			return n, c, nil
		}
	}
	return 0, Cluster{}, fmt.Errorf("cluster %q is none of the demo's", name)
}

// Where an order is placed, and what that asks of the other services.
const (
	PathUser    = "/api/users/:id"
	PathLogin   = "/api/login"
	PathOrder   = "/api/orders/:id"
	PathOrders  = "/api/orders"
	PathPayment = "/api/payments/:id"
	PathPay     = "/api/payments"
)

// routes is the traffic of a cluster, in proportion to its size: at 1, some
// 30 requests a second reach payment-service.
func routes(size float64) []Route {
	orders := 6 * size
	return []Route{
		{App: UserCenter, Method: "GET", Path: PathUser, Direct: 8 * size, Inner: orders, Errors: 0.0002, Status: 200},
		{App: UserCenter, Method: "POST", Path: PathLogin, Direct: 4 * size, Errors: 0.0004, Status: 200},
		{App: OrderService, Method: "GET", Path: PathOrder, Direct: 5 * size, Errors: 0.0002, Status: 200},
		{App: OrderService, Method: "POST", Path: PathOrders, Direct: orders, Errors: 0.0003, Status: 201},
		{App: PaymentService, Method: "GET", Path: PathPayment, Direct: 6 * size, Errors: 0.00004, Status: 200},
		{App: PaymentService, Method: "POST", Path: PathPay, Direct: 18 * size, Inner: orders, Errors: 0.0001, Status: 201},
	}
}

// PoolTimeout is how long a payment waits for a database connection.
const PoolTimeout = time.Second

// Query is how long a payment keeps its database connection: one connection
// alone serves 18 payments a second, 60% of what hangzhou's payment-service
// is asked.
const Query = time.Second / 18
