"""Ray's page "Distributed Scikit-learn / Joblib": a randomized search on the "ray" backend."""

import joblib
import numpy as np
import ray
from ray.util.joblib import register_ray
from sklearn.datasets import load_digits
from sklearn.model_selection import RandomizedSearchCV
from sklearn.svm import SVC

digits = load_digits()
param_space = {
    "C": np.logspace(-6, 6, 30),
    "gamma": np.logspace(-8, 8, 30),
    "tol": np.logspace(-4, -1, 30),
    "class_weight": [None, "balanced"],
}


def search():
    model = SVC(kernel="rbf")
    made = RandomizedSearchCV(model, param_space, cv=3, n_iter=4, random_state=0)
    return made.fit(digits.data[:300], digits.target[:300])


register_ray()
with joblib.parallel_backend("ray", n_jobs=2):
    found = search()
assert ray.is_initialized()
assert found.best_params_ == search().best_params_

with joblib.parallel_backend("ray", ray_remote_args={"num_cpus": 0.5}):
    assert joblib.Parallel()(joblib.delayed(abs)(-i) for i in range(10)) == list(range(10))
print("done")
