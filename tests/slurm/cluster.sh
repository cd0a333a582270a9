#!/bin/bash
# cluster.sh FOLDER NODES: a whole SLURM cluster on this machine, for as long as standard input is open.
# Munge, slurmctld and slurmd are its children, with keys, ports and state of their own in FOLDER, which
# must have a short name: the paths of sockets are limited to 108 bytes. Each node n0, n1, … has its own
# processes, host name and /dev/shm, so that MPI takes it for another machine.
#
# Prints "ready FOLDER/slurm.conf", the value of SLURM_CONF for programs that use the cluster. Lines that
# it reads, and answers with "done":
#   fail NODE    power cut: all processes of the node are gone at once
#   boot NODE    the node comes back
# Ends with 77 and a line of reason where it cannot run.
set -eu
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

skip() { echo "skipped: $*" && exit 77; }
die() { echo "cluster.sh: $*" >&2 && exit 1; }
[ $# -eq 2 ] || die "usage: cluster.sh FOLDER NODES"
folder=$1 nodes=$2
export SLURM_CONF=$folder/slurm.conf

[ "$(id -u)" -eq 0 ] || skip "a SLURM cluster is started by root only"
for program in munged slurmctld slurmd sbatch unshare; do
  command -v "$program" >/dev/null || skip "$program is not installed"
done
unshare --mount --uts --pid --fork --mount-proc true 2>/dev/null ||
  skip "no namespaces for the nodes: unshare is not permitted here"
[ "${#folder}" -le 50 ] || die "the name of the folder is too long: $folder"

# The first of some ports in a row that are free now.
find_ports() {
  local port=$((20000 + $$ % 500 * 20)) i
  for ((i = 0; i <= nodes; i++)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$((port + i))") 2>/dev/null; then port=$((port + i + 1)) i=-1; fi
  done
  echo "$port"
}

configure() {
  local port host i
  port=$(find_ports)
  host=$(uname -n)
  mkdir -p "$folder"/{log,state}
  chmod 755 "$folder" # munged insists
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
  {
    printf '127.0.0.1 localhost %s' "$host"
    for ((i = 0; i < nodes; i++)); do printf ' n%d' "$i"; done
    echo
  } >"$folder/hosts"
  # A requeued job waits for cred_expire; a node that is silent for SlurmdTimeout is lost.
  cat >"$SLURM_CONF" <<END
ClusterName=contrasim
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
TmpFS=$folder/%n/tmp
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=5
MessageTimeout=3
SlurmdTimeout=6
END
  for ((i = 0; i < nodes; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + i)) CPUs=2" \
      "RealMemory=4096 State=UNKNOWN"
  done >>"$SLURM_CONF"
  echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
}

declare -A slurmd # process of each node

# The first process of a node collects the orphans of the node, which slurmd would not.
boot() {
  rm -rf "${folder:?}/$1" # as it was before the power cut
  mkdir -p "$folder/$1"/{tmp,work}
  setpriv --pdeathsig KILL unshare --mount --uts --pid --fork --kill-child --mount-proc sh -ec "
    hostname $1
    mount --bind '$folder/hosts' /etc/hosts
    mount --bind '$PWD' '$folder/$1/work'
    mount -t tmpfs none /dev/shm
    mkdir -p '$PWD' # the files of a test may lie in memory
    mount --bind '$folder/$1/work' '$PWD'
    slurmd -D -N $1 & wait" >"$folder/log/$1.out" 2>&1 </dev/null &
  slurmd[$1]=$!
}

fail() {
  [ -n "${slurmd[$1]:-}" ] || return 0
  kill -9 "${slurmd[$1]}" 2>/dev/null || true # unshare takes the first process of the node with it
  wait "${slurmd[$1]}" 2>/dev/null || true
  slurmd[$1]=
}

wait_for() { # SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
idle_nodes() { [ "$(sinfo -h -N -t idle 2>/dev/null | wc -l)" -eq "$nodes" ]; }
answers() { scontrol ping 2>/dev/null | grep -q "is UP"; }

stop() {
  local node process
  for node in "${!slurmd[@]}"; do fail "$node"; done
  for process in ${slurmctld:-} ${munged:-}; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
}

configure
srun --mpi=list 2>&1 | grep -qw pmix || skip "this SLURM has no plugin for PMIx"
trap stop EXIT
trap 'exit 1' TERM INT HUP
setpriv --pdeathsig KILL munged -F --socket="$folder/munge.sock" --key-file="$folder/munge.key" \
  --pid-file="$folder/munged.pid" --seed-file="$folder/munged.seed" >"$folder/log/munged" 2>&1 </dev/null &
munged=$!
wait_for 10 test -S "$folder/munge.sock" || die "munged does not start: $(tail -n 3 "$folder/log/munged")"
setpriv --pdeathsig KILL slurmctld -D >"$folder/log/slurmctld.out" 2>&1 </dev/null &
slurmctld=$!
wait_for 20 answers || die "slurmctld does not answer: $(tail -n 3 "$folder/log/slurmctld")"
for ((i = 0; i < nodes; i++)); do boot "n$i"; done
wait_for 30 idle_nodes || die "the nodes are not idle: $(tail -n 3 "$folder/log/slurmctld")"
echo "ready $SLURM_CONF"

while read -r what node; do
  case $what in
    fail | boot) "$what" "$node" ;;
    *) die "not understood: $what" ;;
  esac
  echo "done"
done
