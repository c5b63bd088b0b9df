package alert

import "context"

type viaKey struct{}

// WithVia notes in the context by which way somebody acts: ui, api, chat, file
// or cli. The audit keeps it.
func WithVia(ctx context.Context, via string) context.Context {
	return context.WithValue(ctx, viaKey{}, via)
}

// Via returns the way that WithVia noted, "" when it noted none.
func Via(ctx context.Context) string {
	via, _ := ctx.Value(viaKey{}).(string)
	return via
}

type actorKey struct{}

// WithActor notes in the context who acts, for what takes no actor.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns who WithActor noted, "somebody" when it noted nobody.
func Actor(ctx context.Context) string {
	if actor, _ := ctx.Value(actorKey{}).(string); actor != "" {
		return actor
	}
	return "somebody"
}
