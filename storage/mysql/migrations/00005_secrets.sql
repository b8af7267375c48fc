-- +goose NO TRANSACTION
-- +goose Up
-- Sealed with storage.encryption_key, each under its name.
CREATE TABLE IF NOT EXISTS wxgate_secrets (
  name VARBINARY(255) NOT NULL PRIMARY KEY,
  sealed BLOB NOT NULL
) ENGINE=InnoDB;
