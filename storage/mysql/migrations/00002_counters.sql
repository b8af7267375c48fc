-- +goose NO TRANSACTION
-- +goose Up
-- Numbers that are given in the order of commits; whoever takes one locks its row.
CREATE TABLE IF NOT EXISTS wxgate_counters (
  name VARBINARY(64) NOT NULL PRIMARY KEY,
  value BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;
