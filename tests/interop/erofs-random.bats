# Thousands of random trees against cfsctl mkcomposefs; a file of its own for the time that it takes.
#   SPLITFD_TREES=N   how many (default 10000)
#   SPLITFD_SEED=N    the first seed (default 1)

load ../lib/common
load ../lib/erofs

setup_file() {
    scratch_make
    require_root && require_program python3 && require_cfsctl || return 0
    export RUST_BACKTRACE=0 TREES=${SPLITFD_TREES:-10000} SEED=${SPLITFD_SEED:-1}
}
teardown_file() { scratch_drop; }

@test "random trees have the digest that cfsctl mkcomposefs gives, formats 1 and 0" {
    local first last batch=500 files
    mkdir "$SCRATCH/trees"
    for ((first = SEED; first < SEED + TREES; first += batch)); do
        last=$((first + batch < SEED + TREES ? first + batch : SEED + TREES))
        python3 "$LIB/random-tree.py" "$SCRATCH/trees" "$first" $((last - first))
        files=$(seq -f "$SCRATCH/trees/%.0f.dump" "$first" $((last - 1)))
        echo "seeds from $first"
        mkcomposefs_same --min-version=1 1 $files
        # Format 0 differs in what directories with whiteouts get.
        mkcomposefs_same --max-version=0 0 $(echo $files | cut -d' ' -f1-50)
        rm -f $files
    done
}
