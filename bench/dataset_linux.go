package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/bench/tokens"
	"wxgate/storage"
	"wxgate/storage/badger"
)

// fill creates a data folder with so many users and live revocations, before any wxgate opens it.
func fill(ctx context.Context, folder string, users, revocations int) error {
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = folder
	store, err := badger.Open(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return err
	}
	return errors.Join(addUsers(ctx, store, users), addRevocations(ctx, store, revocations), store.Close())
}

// addUsers imports users.
func addUsers(ctx context.Context, store *badger.Store, count int) error {
	const batch = 256
	for id := 1; id <= count; {
		var users []storage.User
		for ; len(users) < batch && id <= count; id++ {
			users = append(users, storage.User{ID: int64(id), AppID: "wx0000000000000000", OpenID: fmt.Sprintf("o%027d", id)})
		}
		if _, err := store.ImportUsers(ctx, users); err != nil {
			return err
		}
	}
	return nil
}

// addRevocations revokes sessions that nobody has, for a week.
func addRevocations(ctx context.Context, store *badger.Store, count int) error {
	const batch = 1000
	now := time.Now()
	for ; count > 0; count -= batch {
		list := make([]storage.Revocation, min(count, batch))
		for i := range list {
			list[i] = storage.Revocation{Scope: storage.ScopeSession, ID: tokens.NewID(), From: now, Until: now.Add(7 * 24 * time.Hour)}
		}
		if _, err := store.Revoke(ctx, list...); err != nil {
			return err
		}
	}
	return nil
}
