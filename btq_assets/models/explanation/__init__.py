"""Why a forecast is what it is: what each feature, session, neighbour and family adds to it.

Read `why` (one date, any model), then the method it uses: `integrated_gradients`, `rollout` and `edges`
for networks, `trees` for LightGBM; `permutation` judges whole families over many dates. An explanation
says what a model leans on, not what is true of the market.
"""
