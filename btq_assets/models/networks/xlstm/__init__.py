"""xLSTM (Beck et al. 2024): cells with exponential gates, residual blocks around them, the network.

Read `cells` (the paper's equations), then `blocks`, then `network`. Written from the paper.
"""
