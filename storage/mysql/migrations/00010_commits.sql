-- +goose NO TRANSACTION
-- +goose Up
-- The newest transaction of each connection of each process, to look up a COMMIT whose answer was lost.
CREATE TABLE IF NOT EXISTS wxgate_commits (
  slot VARBINARY(64) NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  KEY at (at_ms, slot)
) ENGINE=InnoDB;
