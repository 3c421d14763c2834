# Above: what minifold slurm was told. Below: one job of a chain, the same for every training.
# A job trains until it is done or told to stop, saves, and puts itself into the queue again. The
# chain ends when training is finished, when the job is cancelled, when minifold refuses, or when
# max_failures jobs in a row end without a newer step in the saved state.
set -u

failed="$run.failed" # how many; beside the run, since training takes only an empty directory
asked=""
interrupted=""
child=""

# Slurm sends USR1 to this shell alone before the time is up, and TERM when the job is cancelled or
# preempted. What is preempted under PreemptMode=REQUEUE is queued again by Slurm, not from here.
stop() {
    asked=${asked:-$1}
    interrupted=yes
    [[ -n $child ]] && kill -TERM "$child" 2>/dev/null
}
trap 'stop time' USR1
trap 'stop cancel' TERM INT

say() {
    printf '%s job %s: %s\n' "$(date '+%F %T')" "${SLURM_JOB_ID:-?}" "$*"
}

saved_step() {
    local found
    found=$(minifold runs show "$run" --json 2>/dev/null |
        sed -n 's/^  "state_step": \([0-9][0-9]*\),*$/\1/p')
    printf '%s' "${found:-0}"
}

before=$(saved_step)
if [[ -f $run/state.safetensors ]]; then
    work=("${resume[@]}")
else
    work=("${train[@]}")
fi
say "${work[*]}"
"${work[@]}" &
child=$!
[[ -n $asked ]] && kill -TERM "$child" 2>/dev/null
interrupted=yes
while [[ -n $interrupted ]]; do # a signal ends wait before the child has ended
    interrupted=""
    wait "$child"
    code=$?
done

if ((code == 0)); then
    rm -f -- "$failed"
    say "training is finished"
    exit 0
fi
if [[ $asked == cancel ]]; then
    say "cancelled or preempted; go on with: minifold resume $(printf '%q' "$run")"
    exit 143
fi
if ((code == 2 || code == 3)); then
    say "minifold refused (exit code $code) and would again; see above"
    exit "$code"
fi

after=$(saved_step)
failures=0
if ((after <= before)); then
    [[ -f $failed ]] && read -r failures <"$failed"
    failures=$((failures + 1))
fi
if ((failures >= max_failures)); then
    rm -f -- "$failed" # who submits the script again begins to count anew
    say "given up: exit code $code, and $failures jobs in a row brought no step after $after"
    exit 1
fi
if ! { mkdir -p -- "$(dirname -- "$failed")" && printf '%s\n' "$failures" >"$failed"; }; then
    say "ended: $failed cannot be written, so failures cannot be counted"
    exit 1
fi

say "exit code $code, saved at step $after; back into the queue"
if scontrol requeue "${SLURM_JOB_ID:-}" || sbatch "$0"; then
    exit 0
fi
say "neither scontrol requeue nor sbatch took the job; submit it again by hand"
exit 1
