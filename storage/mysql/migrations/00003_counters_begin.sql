-- +goose NO TRANSACTION
-- +goose Up
INSERT IGNORE INTO wxgate_counters (name, value) VALUES ('users', 0), ('revocations', 0);
