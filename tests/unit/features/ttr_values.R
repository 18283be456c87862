# Make ttr_bars.csv and ttr_values.csv: what R's package TTR gives on its own data set ttrc.
#
#     Rscript tests/unit/features/ttr_values.R [FOLDER]
#
# Made with R 4.2.2 and TTR 0.24.3. Columns of `published` are the outputs the package ships for its
# own tests (unitTests/output.*.rda, first 250 rows of ttrc, its default parameters), those of `run`
# were computed by it, with the windows that are used here. Every seventh row is kept.
suppressMessages(library(TTR))
data(ttrc)
folder <- c(commandArgs(trailingOnly = TRUE), dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1])))[1]
bars <- ttrc[1:250, ]
hlc <- bars[, c("High", "Low", "Close")]
ohlc <- bars[, c("Open", "High", "Low", "Close")]
shipped <- function(name) {
  found <- new.env()
  load(system.file("unitTests", paste0("output.", name, ".rda"), package = "TTR"), found)
  found$output
}
one <- function(x, column = 1) as.numeric(as.matrix(x)[, column])
oscillators <- shipped("Oscillators")
trend <- shipped("trend")
volume <- shipped("volume")
averages <- shipped("MA")
published <- data.frame(
  rsi_14 = one(oscillators$allRSI), cmo_14 = one(oscillators$allCMO),
  williams_14 = one(oscillators$allWPR), ultimate_7_14_28 = one(oscillators$allUltOsc),
  macd_12_26 = one(oscillators$allMACD, "macd"), macd_signal_9 = one(oscillators$allMACD, "signal"),
  trix_20 = one(oscillators$allTRIX, "TRIX"), stochastic_k_14 = one(oscillators$allStoch, "fastK"),
  stochastic_d_3 = one(oscillators$allStoch, "fastD"), stochastic_slow_d_3 = one(oscillators$allStoch, "slowD"),
  adx_14 = one(trend$allADX, "ADX"), dx_14 = one(trend$allADX, "DX"),
  plus_di_14 = one(trend$allADX, "DIp"), minus_di_14 = one(trend$allADX, "DIn"),
  aroon_up_20 = one(trend$allAroon, "aroonUp"), aroon_down_20 = one(trend$allAroon, "aroonDn"),
  atr_14 = one(trend$allATR, "atr"), true_range = one(trend$allATR, "tr"),
  cci_20 = one(trend$allCCI), vhf_28 = one(trend$allVHF),
  obv = one(volume$allOBV), accumulation = one(volume$allChaikinAD),
  cmf_20 = one(volume$allCMF), mfi_14 = one(volume$allMFI),
  sma_10 = one(averages$allSMA), ema_10 = one(averages$allEMA), wilder_10 = one(averages$allEMAwilder),
  dema_10 = one(averages$allDEMA), wma_10 = one(averages$allWMA)
)
close <- bars$Close
back <- function(x, n) x - c(rep(NA, n), head(x, -n))
bands <- BBands(close, n = 20, sd = 2)
macd <- MACD(close, percent = FALSE)
channel <- DonchianChannel(bars[, c("High", "Low")], n = 20)
spread <- function(calc, n) volatility(ohlc, n = n, calc = calc, N = 252)
run <- data.frame(
  # TTR takes n - 1 returns of n closes.
  volatility_21 = volatility(close, n = 22, calc = "close", N = 252),
  volatility_63 = volatility(close, n = 64, calc = "close", N = 252),
  garman_klass_21 = spread("garman.klass", 21), parkinson_21 = spread("parkinson", 21),
  rogers_satchell_21 = spread("rogers.satchell", 21),
  yang_zhang_21 = spread("yang.zhang", 21), yang_zhang_63 = spread("yang.zhang", 63),
  band_middle_20 = bands[, "mavg"], band_upper_20 = bands[, "up"],
  macd_histogram = macd[, "macd"] - macd[, "signal"],
  sma_50 = SMA(close, 50), wma_20 = WMA(close, 20), hma_20 = HMA(close, 20),
  donchian_high_20 = channel[, "high"], donchian_low_20 = channel[, "low"],
  roc_10 = ROC(close, n = 10, type = "discrete"), momentum_10 = momentum(close, n = 10),
  vhf_20 = VHF(close, n = 20), deviation_20 = runSD(close, n = 20),
  correlation_20 = runCor(close, log(bars$Volume + 1), n = 20),
  vwap_20 = VWAP(close, bars$Volume, n = 20), cmf_21 = CMF(hlc, bars$Volume, n = 21),
  obv_back_20 = back(published$obv, 20), obv_back_21 = back(published$obv, 21),
  accumulation_back_20 = back(published$accumulation, 20),
  volume_sum_20 = runSum(bars$Volume, 20), volume_sum_21 = runSum(bars$Volume, 21)
)
keep <- seq(100, 250, by = 7)
exact <- function(x) as.data.frame(lapply(x, function(column) formatC(column, digits = 13, format = "g", width = 1)))
names(published) <- paste0("published_", names(published))
names(run) <- paste0("run_", names(run))
write.csv(exact(cbind(row = 1:250, published, run)[keep, ]), file.path(folder, "ttr_values.csv"), row.names = FALSE, quote = FALSE)
write.csv(cbind(date = format(bars$Date), bars[, -1]), file.path(folder, "ttr_bars.csv"), row.names = FALSE, quote = FALSE)
