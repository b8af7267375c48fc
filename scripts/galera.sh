#!/usr/bin/env bash
# galera.sh - run a REAL 3-node synchronous MariaDB Galera cluster on 127.0.0.1.
#
#   galera.sh up [N]         create + bootstrap + join N nodes (default 3); prints DSNs
#   galera.sh down           stop every node by pid (TERM, then KILL after 20 s)
#   galera.sh status         cluster view of each node
#   galera.sh kill9 <i>      SIGKILL node i          galera.sh stop <i>   graceful stop
#   galera.sh start <i>      (re)join node i         galera.sh freeze|thaw <i>  SIGSTOP/SIGCONT
#   galera.sh sql <i> '...'  run SQL on node i       galera.sh wipe       down + rm -rf
#   galera.sh bootstrap <i>  all nodes dead: make node i the new primary component
#   galera.sh conformance    up, the tests of storage/mysql that need a cluster, wipe
#
# Needs: scripts/mariadb.sh galera
# Env:   GDIR (default $TMPDIR/galera), GBASE (first sql port, default 13301),
#        GFLUSH (innodb_flush_log_at_trx_commit, default 1)
# Nothing listens outside 127.0.0.1 and no system unit or /etc file is used.
set -euo pipefail
GDIR=${GDIR:-${TMPDIR:-/tmp}/galera}; GBASE=${GBASE:-13301}; GFLUSH=${GFLUSH:-1}
DB=${GDB:-gateway}; DBUSER=${GUSER:-gw}; DBPASS=${GPASS:-gwpass}
LIB=$(ls /usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so 2>/dev/null | head -1)
export PATH=$PATH:/usr/sbin:/sbin
sqlport() { echo $((GBASE + $1 - 1)); }
gport()   { echo $((GBASE + 1000 + ($1 - 1) * 10)); }      # gcomm
iport()   { echo $((GBASE + 1000 + ($1 - 1) * 10 + 1)); }  # IST
sport()   { echo $((GBASE + 1000 + ($1 - 1) * 10 + 2)); }  # SST
nnodes()  { cat "$GDIR/n" 2>/dev/null || echo 3; }
peers()   { local s="" i; for i in $(seq 1 "$(nnodes)"); do s+="127.0.0.1:$(gport "$i"),"; done; echo "${s%,}"; }
# as root: run as user mysql (rsync SST's daemon drops root to nobody and then cannot write)
ME=$(id -un); [ "$ME" = root ] && ME=mysql
own() { [ "$(id -un)" = root ] && chown -R mysql: "$GDIR/n$1" || true; }

# One applier, MariaDB's default: two of them stop a node for good when a trigger is created while rows of its table are
# applied (10.11.19; each waits for the other with high priority).
conf() { # node -> my.cnf
  local i=$1 d=$GDIR/n$1; mkdir -p "$d/data" "$d/tmp"
  cat >"$d/my.cnf" <<CNF
[mariadbd]
user=$ME
datadir=$d/data
socket=$d/s.sock
pid-file=$d/pid
log-error=$d/err.log
tmpdir=$d/tmp
bind-address=127.0.0.1
port=$(sqlport "$i")
server-id=$i
skip-name-resolve
max_connections=300
character-set-server=utf8mb4
collation-server=utf8mb4_bin
binlog_format=ROW
default_storage_engine=InnoDB
innodb_autoinc_lock_mode=2
innodb_flush_log_at_trx_commit=$GFLUSH
innodb_buffer_pool_size=96M
innodb_log_file_size=16M
performance_schema=OFF
wsrep_on=ON
wsrep_provider=$LIB
wsrep_cluster_name=gwtest
wsrep_cluster_address=gcomm://$(peers)
wsrep_node_name=n$i
wsrep_node_address=127.0.0.1
wsrep_node_incoming_address=127.0.0.1:$(sqlport "$i")
wsrep_sst_method=rsync
wsrep_sst_receive_address=127.0.0.1:$(sport "$i")
wsrep_slave_threads=1
wsrep_retry_autocommit=4
wsrep_auto_increment_control=${GAICTL:-ON}
wsrep_provider_options="base_host=127.0.0.1;base_port=$(gport "$i");gmcast.listen_addr=tcp://127.0.0.1:$(gport "$i");ist.recv_addr=127.0.0.1:$(iport "$i");gcache.size=64M;${GPROV:-}"
CNF
  own "$i"
}
q() { local i=$1; shift; mariadb --no-defaults -uroot -S "$GDIR/n$i/s.sock" -NBe "$*" 2>/dev/null; }
alive() { local p; p=$(cat "$GDIR/n$1/mypid" 2>/dev/null) && kill -0 "$p" 2>/dev/null; }
launch() { # node [extra]
  local i=$1; shift; alive "$i" && { echo "n$i already up" >&2; return 0; }
  setsid mariadbd --defaults-file="$GDIR/n$i/my.cnf" "$@" >/dev/null 2>>"$GDIR/n$i/err.log" </dev/null &
  echo $! >"$GDIR/n$i/mypid"; disown || true
}
wait_synced() { # node secs
  local i=$1 t=$(( $2 * 10 )) k
  for ((k = 0; k < t; k++)); do
    [ "$(q "$i" "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='wsrep_local_state_comment'")" = Synced ] && return 0
    alive "$i" || { echo "n$i died:" >&2; tail -5 "$GDIR/n$i/err.log" >&2; return 1; }
    sleep 0.1
  done; echo "n$i not Synced in $2 s" >&2; return 1
}
end() { # node sig
  local p; p=$(cat "$GDIR/n$1/mypid" 2>/dev/null) || return 0
  kill -CONT "$p" 2>/dev/null || true; kill "-$2" "$p" 2>/dev/null || true
  for _ in $(seq 200); do kill -0 "$p" 2>/dev/null || { rm -f "$GDIR/n$1/mypid"; return 0; }; sleep 0.1; done
  kill -9 "$p" 2>/dev/null || true; rm -f "$GDIR/n$1/mypid"
}
case ${1:-} in
up)
  N=${2:-3}; mkdir -p "$GDIR"; echo "$N" >"$GDIR/n"; t0=$(date +%s.%N)
  for i in $(seq 1 "$N"); do conf "$i"; done
  if [ ! -d "$GDIR/n1/data/mysql" ]; then
    mariadb-install-db --defaults-file="$GDIR/n1/my.cnf" --skip-test-db --skip-name-resolve --auth-root-authentication-method=normal --user="$ME" --wsrep-on=OFF >"$GDIR/install.log" 2>&1
  fi
  t1=$(date +%s.%N); launch 1 --wsrep-new-cluster; wait_synced 1 30
  q 1 "CREATE DATABASE IF NOT EXISTS $DB; CREATE USER IF NOT EXISTS '$DBUSER'@'127.0.0.1' IDENTIFIED BY '$DBPASS'; GRANT ALL ON *.* TO '$DBUSER'@'127.0.0.1'"
  if [ -z "${GSST:-}" ] && [ ! -d "$GDIR/n2/data/mysql" ]; then           # seed copies: join by IST, no 8 s SST each
    end 1 TERM
    for i in $(seq 2 "$N"); do cp -a "$GDIR/n1/data/." "$GDIR/n$i/data/"; rm -f "$GDIR/n$i/data/"{galera.cache,gvwstate.dat}; own "$i"; done
    sed -i 's/safe_to_bootstrap: 0/safe_to_bootstrap: 1/' "$GDIR/n1/data/grastate.dat"; launch 1 --wsrep-new-cluster; wait_synced 1 30
  fi
  t2=$(date +%s.%N)
  for i in $(seq 2 "$N"); do launch "$i"; [ -n "${GSST:-}" ] && wait_synced "$i" 60; done
  for i in $(seq 2 "$N"); do wait_synced "$i" 60; done
  t3=$(date +%s.%N)
  awk -v a="$t0" -v b="$t1" -v c="$t2" -v d="$t3" 'BEGIN{printf "install %.1fs bootstrap %.1fs join %.1fs total %.1fs\n",b-a,c-b,d-c,d-a}'
  for i in $(seq 1 "$N"); do echo "$DBUSER:$DBPASS@tcp(127.0.0.1:$(sqlport "$i"))/$DB"; done ;;
start)  # after a crash grastate.dat says seqno -1: recover the position from InnoDB first, or Galera does a full SST
  pos=""; if grep -q 'seqno: *-1' "$GDIR/n$2/data/grastate.dat" 2>/dev/null; then
    mariadbd --defaults-file="$GDIR/n$2/my.cnf" --wsrep-recover --log-error="$GDIR/n$2/recover.log" >/dev/null 2>&1 || true
    pos=$(sed -n 's/.*Recovered position: *//p' "$GDIR/n$2/recover.log" | tail -1); fi
  launch "$2" ${pos:+--wsrep_start_position="$pos"}; wait_synced "$2" 90 ;;
bootstrap) sed -i 's/safe_to_bootstrap: 0/safe_to_bootstrap: 1/' "$GDIR/n$2/data/grastate.dat"; launch "$2" --wsrep-new-cluster; wait_synced "$2" 60 ;;
stop)   end "$2" TERM ;;
kill9)  kill -9 "$(cat "$GDIR/n$2/mypid")"; rm -f "$GDIR/n$2/mypid" ;;
freeze) kill -STOP "$(cat "$GDIR/n$2/mypid")" ;;
thaw)   kill -CONT "$(cat "$GDIR/n$2/mypid")" ;;
sql)    i=$2; shift 2; mariadb --no-defaults -uroot -S "$GDIR/n$i/s.sock" -e "$*" ;;
status) for i in $(seq 1 "$(nnodes)"); do alive "$i" || { echo "n$i down"; continue; }
          echo "n$i $(q "$i" "SELECT GROUP_CONCAT(CONCAT(VARIABLE_NAME,'=',VARIABLE_VALUE) ORDER BY 1 SEPARATOR ' ') FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN ('WSREP_CLUSTER_SIZE','WSREP_CLUSTER_STATUS','WSREP_LOCAL_STATE_COMMENT','WSREP_READY','WSREP_LAST_COMMITTED','WSREP_LOCAL_CERT_FAILURES','WSREP_FLOW_CONTROL_PAUSED')")"; done ;;
down)   for i in $(seq "$(nnodes)" -1 1); do end "$i" TERM; done ;;
wipe)   "$0" down; rm -rf "$GDIR" ;;
conformance) # the folder is removed whatever the result
  trap '"$0" wipe' EXIT
  nodes=$("$0" up 3 | grep '@tcp' | tr '\n' ' ')
  cd "$(dirname "$0")/.." && WXGATE_GALERA=$nodes go test -count=1 -v -timeout 20m -run 'Galera' ./storage/mysql ;;
*) sed -n 2,20p "$0"; exit 2 ;;
esac
