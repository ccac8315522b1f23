fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let path = std::path::PathBuf::from(std::env::args().nth(3).unwrap());
    let settings = match casebridge::config::Settings::load(&path) {
        Ok(s) => s,
        Err(p) => {
            eprintln!("{p}");
            std::process::exit(3)
        }
    };
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Err(e) = rt.block_on(casebridge::daemon::run(&path, settings)) {
        eprintln!("{e}");
        std::process::exit(e.exit_code().into())
    }
}
