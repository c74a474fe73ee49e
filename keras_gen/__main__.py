"""`python -m keras_gen`, the same as the command `keras-gen`."""

from keras_gen.cli.main import main

if __name__ == "__main__":
    main()
