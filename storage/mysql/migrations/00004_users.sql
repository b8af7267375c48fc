-- +goose NO TRANSACTION
-- +goose Up
-- Ids and openids are bytes, so that no collation makes one of two. Of an erased user appid and openid are NULL. version
-- is raised where a write on Galera only looks.
CREATE TABLE IF NOT EXISTS wxgate_users (
  id BIGINT NOT NULL PRIMARY KEY,
  appid VARBINARY(128) NULL,
  openid VARBINARY(512) NULL,
  unionid VARBINARY(512) NOT NULL,
  nickname TEXT CHARACTER SET utf8mb4 NOT NULL,
  avatar TEXT CHARACTER SET utf8mb4 NOT NULL,
  bio TEXT CHARACTER SET utf8mb4 NOT NULL,
  recipe_count BIGINT NOT NULL,
  follower_count BIGINT NOT NULL,
  following_count BIGINT NOT NULL,
  favorite_count BIGINT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  native TINYINT NOT NULL,
  version BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY openid (appid, openid),
  KEY unionid (unionid)
) ENGINE=InnoDB;
