#!/usr/bin/env bash
# From a bare Debian 12 to a model that answers beside a machine: installs the packages, builds, starts everything on this
# machine and runs the whole loop once.
#
#   deploy/quickstart.sh                                    on a simulated milling machine
#   deploy/quickstart.sh --data parts.csv --target failed   on a table of your own
#   deploy/quickstart.sh --exit                             stops everything after the table
#   deploy/quickstart.sh --stop                             stops what an earlier call left running, and does nothing else
#
#   --data-folder DIR   where all is kept (/var/lib/anneal-quickstart for root, else ~/.local/share/anneal-quickstart)
#   --port PORT         of the server (8470, or any free one if that is taken)
#
# Safe to repeat: what an earlier call left running is replaced; sources, records and models stay, and rows that are there
# already count once.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${ANNEAL_BIN:-$root/build/release/bin}
data="$HOME/.local/share/anneal-quickstart"
[ "$(id -u)" != 0 ] || data=/var/lib/anneal-quickstart
table="" target="" port=8470 leave=yes only_stop=no stage="the options"
begin=$(date +%s)

say() { if [ -t 1 ]; then printf '\033[1m== %s\033[0m\n' "$*"; else printf '== %s\n' "$*"; fi; }
fail() { echo "quickstart: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --data) table=${2:?--data needs a file}; shift 2 ;;
    --target) target=${2:?--target needs a column}; shift 2 ;;
    --data-folder) data=${2:?--data-folder needs a folder}; shift 2 ;;
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --exit) leave=no; shift ;;
    --stop) only_stop=yes; shift ;;
    -h|--help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1; see deploy/quickstart.sh --help" ;;
  esac
done
[[ $port =~ ^[0-9]{1,5}$ ]] && [ $((10#$port)) -le 65535 ] || fail "--port is a number from 0 to 65535, not '$port'"
port=$((10#$port))
data=$(realpath -m -- "$data")
[ -z "$table" ] || [ -r "$table" ] || fail "cannot read $table"
[ -n "$table" ] && [ -z "$target" ] && fail "--data needs --target, the column to predict; the columns are: $(head -1 "$table" | cut -c1-300)"
[ -z "$target" ] || [ -n "$table" ] || fail "--target needs --data, the table that has it"
[ -z "$table" ] || table=$(readlink -f "$table")

# What this script starts: one line "NAME PID" each, so that the next call and --exit find it.
pids() { echo "$data/quickstart-processes"; }
stop_all() {
  [ -f "$(pids)" ] || return 0
  while read -r name pid; do
    # The pid may be another program's by now; the program's file may have been built anew.
    case "$({ tr "\0" "\n" < "/proc/$pid/cmdline"; } 2>/dev/null | head -1)" in
      */anneal|*/anneal-agent) kill "$pid" 2>/dev/null || true ;;
      *) continue ;;
    esac
    for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then echo "quickstart: $name (process $pid) does not stop" >&2; fi
  done < <(tac "$(pids)")
  rm -f "$(pids)"
}
start() {  # NAME COMMAND...
  local name=$1
  shift
  setsid nohup "$@" > "$data/logs/$name.log" 2>&1 < /dev/null &
  echo "$name $!" >> "$(pids)"
}
wait_for() {  # SECONDS WHAT COMMAND...: the process that start made last must not end meanwhile
  local limit=$1 what=$2 name pid
  shift 2
  read -r name pid < <(tail -1 "$(pids)")
  for _ in $(seq $((limit * 5))); do
    "$@" > /dev/null 2>&1 && return 0
    if ! kill -0 "$pid" 2>/dev/null; then
      { echo "quickstart: $name ended at once; the last lines of $data/logs/$name.log:"; tail -5 "$data/logs/$name.log"; } >&2
      return 1
    fi
    sleep 0.2
  done
  echo "quickstart: $what is not there after $limit s; the logs are in $data/logs" >&2
  return 1
}
free_port() {  # PREFERRED: it, or 0 where somebody listens there already
  if (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi
}
on_exit() {
  local code=$?
  if [ $code != 0 ]; then echo "quickstart: failed at: $stage (exit code $code). Logs: $data/logs. It is safe to call it again." >&2; fi
  if [ $code != 0 ] || [ $leave = no ]; then stop_all; fi
}
if [ $only_stop = yes ]; then
  if [ -f "$(pids)" ]; then stop_all; say "stopped what ran on $data"; else say "nothing of this script runs on $data"; fi
  exit 0
fi
trap on_exit EXIT
anneal() { "$bin/anneal" "$@"; }
done_stage() { say "$stage: $(($(date +%s) - stage_begin)) s"; }
next_stage() { stage=$1 stage_begin=$(date +%s); say "$stage"; }

next_stage "installing packages"
"$root/deploy/packaging/install_packages.sh" build
echo "A CPU build: Anneal has no CUDA kernels yet$(command -v nvcc > /dev/null && echo ", so this machine's CUDA toolkit stays unused")."
done_stage

if [ -z "${ANNEAL_BIN:-}" ]; then
  next_stage "building ($(nproc) jobs; what an earlier build left is reused)"
  (cd "$root" && cmake --preset release > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }; rm -f build-configure.log)
  cmake --build "$root/build/release" --parallel "$(nproc)" --target anneal anneal_agent
  done_stage
fi

next_stage "starting server and agent in $data"
mkdir -p "$data/logs"
chmod 755 "$data"
stop_all
export ANNEAL_DATA=$data OMP_WAIT_POLICY=passive
unset ANNEAL_SERVER ANNEAL_TOKEN
start server "$bin/anneal" serve --data-folder "$data" --port "$(free_port "$port")"
wait_for 90 "the server" anneal sources list
address=$(cat "$data/server-address")
if [ ! -s "$data/agent-token" ]; then
  (umask 077; anneal token create quickstart --role agent > "$data/agent-token" 2> /dev/null)  # an agent's token has its name
fi
rm -f "$data/agent/agent-address"
start agent "$bin/anneal-agent" --server "$address" --name quickstart --labels line=3 --data "$data/agent" --port "$(free_port 8471)" \
  --poll-seconds 0.5 --token-file "$data/agent-token" --root "$data/keys/root.json"
wait_for 30 "the agent" test -s "$data/agent/agent-address"
agent=$(cat "$data/agent/agent-address")
done_stage

table_name() {  # FILE: letters and digits of its name, joined by '-'
  basename "${1%.*}" | LC_ALL=C.UTF-8 sed 's/[^[:alnum:]]\{1,\}/-/g; s/^-//; s/-$//; s/^\(.\{60\}\).*/\1/' | tr 'A-Z' 'a-z'
}
start_run() {  # WORKFLOW OPTIONS...: its id
  anneal runs start "$@" --json | sed -n 's/^ *"id" *: *"\([0-9a-f-]*\)".*/\1/p' | head -1
}

if [ -z "$table" ]; then
  next_stage "taking in the records of a simulated milling machine"
  start plant "$bin/anneal" simulate --port "$(free_port 8472)" --history 5000 --rate 0
  wait_for 30 "the simulated machine" grep -q '^http' "$data/logs/plant.log"
  plant=$(head -1 "$data/logs/plant.log")
  mill=mill-${plant##*:}  # the machine's address belongs to the source
  anneal sources create "$mill" --if-absent --connector rest_poll --profile machine-failure --setting "url=$plant" --setting target=/records \
    --setting items=items --setting cursor.param=after --setting cursor.next=next > /dev/null
  anneal sources start "$mill" > /dev/null
  has_history() { [ "$(anneal sources show "$mill" --json | sed -n 's/^ *"records" *: *\([0-9]*\).*/\1/p' | head -1)" -ge 5000 ]; }
  wait_for 60 "the machine's history" has_history
  done_stage
  next_stage "adapting anneal-nano: dataset, training, scores, gate, registry"
  run=$(start_run tool-failure --set "source=$mill" --set to=line=3 --set soak=0s --set at_least=0.3 --set max_steps=200)
  anneal runs follow "$run"
  done_stage
  next_stage "bringing the model to the agent"
  anneal runs approve "$run" ok --comment "quick start" > /dev/null
  anneal runs follow "$run" > "$data/logs/rollout.log" || { cat "$data/logs/rollout.log"; exit 1; }
  curl -fsS "$plant/records?after=4990&limit=10" | sed 's/.*"items" *: *\(\[.*\]\).*/\1/' > "$data/machine.json"
  anneal predict "$data/machine.json" --agent "$agent" --show failure
  done_stage
else
  name=$(table_name "$table")
  edition=$(sha256sum < "$table" | cut -c1-8)  # a changed table is another source: its old rows are not its rows
  if [ -z "$name" ] || ! anneal sources create "$name-$edition" --if-absent > /dev/null 2>&1; then  # no name for a source
    name=table-$(basename "$table" | sha256sum | cut -c1-8)
  fi
  source=$name-$edition
  next_stage "taking in $table as source $source"
  metric=accuracy rival=majority
  profile=$(anneal profile --data "$table" --target "$target" --name "$name")
  if grep -q '"task" *: *"regress"' <<< "$profile"; then metric=rmse rival=mean; fi
  anneal sources create "$source" --if-absent > /dev/null
  anneal ingest "$source" "$table" --tolerate-rejected
  done_stage
  next_stage "adapting anneal-nano to $target ($metric, to beat: $rival)"
  run=$(start_run adapt-table --set "source=$source" --set "target=$target" --set "model=$name" --set "metric=$metric" --set "rival=$rival")
  anneal runs follow "$run"
  done_stage
  next_stage "bringing the model to the agent"
  deployment=$(anneal deploy create "$name" candidate --to line=3 --waves 100% --soak 0s --json | sed -n 's/^ *"id" *: *"\([0-9a-f-]*\)".*/\1/p' | head -1)
  anneal deploy follow "$deployment"
  echo "The first rows of the table. Most of them are rows it learned from: how good it is on others say the scores above."
  anneal predict "$table" --agent "$agent" --show "$target"
  done_stage
fi

say "done in $(($(date +%s) - begin)) s"
if [ $leave = yes ]; then
  echo "The page:  $address/   (token: cat $data/admin-token)"
  echo "The agent: $agent/v1/predict"
  echo "Commands:  export ANNEAL_DATA=$(printf %q "$data") PATH=$bin:\$PATH; anneal help"
  say "Anneal runs at $address; $(printf '%q ' "$0" --stop --data-folder "$data")stops it"
else
  say "the table is above; everything is stopped"
fi
