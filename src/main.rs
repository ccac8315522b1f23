//! The command line in, an exit code out.

use std::process::ExitCode;
use std::time::Duration;

use casebridge::cli;

// A daemon of many small records spends a fifth of its time in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks the kernel for pages of 2 MiB, and what is touched here and there is 50 MiB more in them.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // It refuses only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(32).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::main());
            // A file system that hangs must not keep a finished command from ending.
            runtime.shutdown_timeout(Duration::from_secs(5));
            code
        }
        Err(error) => {
            eprintln!(
                "error: casebridge cannot start; {error}; free memory, or raise the limit of processes (ulimit -u)"
            );
            ExitCode::FAILURE
        }
    }
}
