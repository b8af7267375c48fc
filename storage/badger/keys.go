package badger

import (
	"encoding/binary"
	"fmt"

	"wxgate/storage"
)

// The first byte of a key says what its record is. Numbers are big-endian, so that keys sort as their numbers do.
const (
	keyCounters     = "c" // the counters: how many commits, users and revocations there were
	keyStoreID      = "d" // the id of the store, equal to the one in the sentinel
	prefixUser      = 'u' // u<id>                    a user
	prefixOpenID    = 'o' // o<len><appid><openid>    the id of that user
	prefixRing      = 'k' // k<id>                    the sealed session_keys of the user; storage names the secrets
	prefixSession   = 's' // s<sid>                   a session
	prefixDevice    = 'v' // v<id><sid>               the living sessions of a user, an index without content
	prefixRevoked   = 'r' // r<seq>                   a revocation
	prefixPhone     = 'p' // p<id>                    the sealed phone number of the user
	prefixUnion     = 'n' // n<len><unionid><id>      the users of one person, an index without content
	prefixLinked    = 'm' // m<to><id>                the accounts of a user that are linked or about to be, an index without content
	prefixEpoch     = 'e' // e<number>                an epoch of tokens
	prefixEvents    = 'x' // x<id>                    what a service must be told about the user
	prefixDeletion  = 'l' // l<id>                    when the user is to be erased
	prefixServer    = 't' // t<appid>, t/<hash>       the sealed access_token of a mini-program, or a sealed file; storage names them
	prefixTemporary = 'y' // y<name>              a temporary value, behind its end in Unix milliseconds
	prefixEnd       = 'z' // z<end><name>         the ends of temporary values, an index without content
)

// isDeletable reports whether the key can be deleted, an entry of an index or a record that is forgotten, so that
// compaction drops the deletion together with what it deleted. It was committed together with the counters, and mostly
// with its user, and looking for those finds a loss.
func isDeletable(key []byte) bool {
	switch key[0] {
	case prefixOpenID, prefixDevice, prefixUnion, prefixLinked, prefixSession, prefixRevoked, prefixEpoch, prefixEvents, prefixDeletion, prefixTemporary, prefixEnd:
		return true
	}
	return false
}

// numbered is the key prefix<number>.
func numbered(prefix byte, number uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{prefix}, number))
}

// openIDKey spells the length of the appid out, so that ("ab", "c") and ("a", "bc") are two keys.
func openIDKey(appID, openID string) string {
	return string(binary.AppendUvarint([]byte{prefixOpenID}, uint64(len(appID)))) + appID + openID
}

func unionPrefix(unionID string) string {
	return string(binary.AppendUvarint([]byte{prefixUnion}, uint64(len(unionID)))) + unionID
}

func unionKey(unionID string, id int64) string {
	return string(binary.BigEndian.AppendUint64([]byte(unionPrefix(unionID)), uint64(id)))
}

func linkedPrefix(to int64) string { return numbered(prefixLinked, uint64(to)) }

func linkedKey(u storage.User) string {
	return string(binary.BigEndian.AppendUint64([]byte(linkedPrefix(u.LinkedTo)), uint64(u.ID)))
}

func sessionKey(sid string) string { return string(prefixSession) + sid }

func devicePrefix(userID int64) string { return numbered(prefixDevice, uint64(userID)) }

func deviceKey(userID int64, sid string) string { return devicePrefix(userID) + sid }

// numberOf reads a record that holds one number.
func numberOf(payload []byte) (uint64, error) {
	if len(payload) != 8 {
		return 0, fmt.Errorf("a number of %d bytes", len(payload))
	}
	return binary.BigEndian.Uint64(payload), nil
}
